#pragma once

#include "eval/compare/comparison.h"

// The verdict on each series of a comparison. docs/benchmarks.md has the rules.
namespace ddpm_eval::eval {

/// Whether it is one of those that Holm's correction is over.
bool is_tested(const SeriesComparison& one);

/// Medians, the change with its interval and the p of both directions, of `result.series` and `now`. Between
/// two sessions the machine itself may have changed: what is tested there is a change larger than `apart`.
void measure_change(const SuiteSeries& now, bool one_session, double apart, SeriesComparison& result);

/// What the null subjects, which are measured already, say of the machine.
void find_noise(SuiteComparison& comparison);

/// What a verdict depends on beside the series itself.
struct Circumstances {
  bool one_session = false;
  bool same_context = true;  ///< of both suites
  bool allow_mismatch = false;
  double noise = 0;  ///< of the null subject that is its kind of work
};

/// All that does not depend on other series.
void judge_alone(const SuiteSeries& now, const Circumstances& circumstances, SeriesComparison& result);

/// Holm's correction, and the verdicts of all series that are tested.
void judge_tested(SuiteComparison& comparison);

}  // namespace ddpm_eval::eval
