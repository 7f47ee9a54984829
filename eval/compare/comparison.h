#pragma once

#include "base/core/rank_tests.h"
#include "eval/compare/suite.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

// Whether one build is worse than another, from what a suite has measured of both. docs/benchmarks.md says
// what is tested and why.
namespace ddpm_eval::eval {

struct ComparisonOptions {
  double threshold = 0.05;      ///< the smallest change that counts: a ratio of 1 + threshold
  double level = 0.01;          ///< of false alarms over the whole suite
  bool allow_mismatch = false;  ///< compare different contexts, with a remark
};

/// Of the intervals of changes.
inline constexpr double kChangeConfidence = 0.95;

enum class Verdict {
  kWorse,
  kBetter,
  kSame,         ///< no difference is shown
  kSmall,        ///< a difference is shown that is below the threshold
  kWithinNoise,  ///< one above the threshold, but no larger than what the null subject shows; between two
                 ///< sessions, where such are not tested, also one that is not shown
  kTooFew,       ///< so many repetitions can show nothing at this level
  kNull,         ///< a null subject: tells the noise, and is not judged
  kOnlyInBase,   ///< it is no longer measured
  kOnlyInNew,    ///< it was not measured before
  kNotCompared,  ///< hashes of other instruction sets or contexts, quality numbers of other contexts
};

/// "worse", as in tables and records.
std::string verdict_name(Verdict verdict);

struct SeriesComparison {
  SuiteSeries series;  ///< as in the baseline, or as it is where that lacks it
  Verdict verdict = Verdict::kSame;
  std::string note{};          ///< on the verdict; may be empty
  bool other_context = false;  ///< not compared, since its own context differs

  // Of series with repetitions, and base and now also of quality numbers.
  double base = 0;  ///< median or value
  double now = 0;
  int64_t base_count = 0;
  int64_t now_count = 0;
  bool paired = false;         ///< repetitions of both were measured in turn, and are pairs
  int64_t blocks = 1;          ///< that the second test is within; 1: there is none
  core::Estimate worsening{};  ///< of the logarithm, signed so that above 0 is worse
  double p_worse = 1;          ///< one-sided
  double p_better = 1;         ///< one-sided
  double p_worse_holm = 1;     ///< by Holm's correction over all series that are tested
  double p_better_holm = 1;
};

struct SuiteComparison {
  Suite base;
  Suite now;
  ComparisonOptions options;
  std::vector<SeriesComparison> series{};  ///< in the order of the baseline, then what is new
  int64_t tested = 0;                      ///< series that Holm's correction is over
  /// The largest |logarithm| that each null subject's interval reaches, and the largest of these.
  std::map<std::string, double> noise_by_subject{};
  std::optional<double> noise{};
  std::vector<std::string> remarks{};  ///< on all of it

  /// Of the null subject that the series names, or the largest.
  std::optional<double> noise_for(const SuiteSeries& one) const;
  int64_t count(Verdict verdict) const;
};

/// Why "nothing is worse" would claim more than was found: series of the baseline that are no longer
/// measured or were measured with other settings, too few repetitions for any series, slow-downs that the
/// null subject is too loud to confirm. Empty if none.
std::string what_stays_open(const SuiteComparison& comparison);

/// Compares `now` to `base`. Throws NotComparableError if their contexts differ, unless that is allowed, and
/// DataError if a series has another kind, unit or direction or if they share none.
SuiteComparison compare_suites(Suite base, Suite now, const ComparisonOptions& options);

}  // namespace ddpm_eval::eval
