#pragma once

#include "eval/compare/comparison.h"

// The verdict on each series of a comparison. docs/benchmarks.md has the rules.
namespace ddpm_eval::eval {

/// What verdicts depend on beside the series themselves.
struct Judging {
  bool one_session = false;
  bool same_context = true;  ///< of both suites
  bool allow_mismatch = false;
  int64_t tested = 0;  ///< series that Holm's correction is over
  double level = 0.01;
};

/// Whether Holm's correction is over such series.
bool is_tested(SeriesKind kind);

/// Medians, the change with its interval and the p of both directions, of `result.series` and `now`. Between
/// two sessions the machine itself may have changed: what is tested there is a change larger than `apart`.
void measure_change(const SuiteSeries& now, const Judging& judging, double apart, SeriesComparison& result);

/// What the null subjects, which are measured already, say of the machine.
void find_noise(SuiteComparison& comparison);

/// All that does not depend on other series. `noise` is that of the null subject of its kind of work.
void judge_alone(const SuiteSeries& now, const Judging& judging, double noise, SeriesComparison& result);

/// Holm's correction, and the verdicts of all series that are tested.
void judge_tested(SuiteComparison& comparison);

}  // namespace ddpm_eval::eval
