#pragma once

#include "base/core/error.h"
#include "eval/side_scores.h"
#include "metrics/uncertainty.h"

#include <string>

// What the scores of a side are put together with.
namespace ddpm_eval::eval {

inline constexpr double kIntervalLevel = 0.95;  ///< of intervals

/// Said of intervals between a set and itself.
inline constexpr const char* kSameImages =
    "both sides are the same images, and intervals are of sets drawn independently: these do not hold";

/// "cifar", or "--real cifar against samples/".
std::string sources_text(const Side& fake, const ScoreOptions& options);

/// What `action` returns; where it finds the data wanting, the message names the sources.
template <class Action>
auto naming_sources(const Side& fake, const ScoreOptions& options, const Action& action) {
  try {
    return action();
  } catch (const core::DataError& error) {
    throw core::DataError("{}: {}", sources_text(fake, options), error.what());
  }
}

/// Adds an interval of kIntervalLevel to the uncertainty of a metric, as "at_count" or "at_infinity".
void add_interval(const char* key, const metrics::Interval& interval, Json& uncertainty);

/// Adds the uncertainty of a metric, and a note where an interval is withheld.
void add_uncertainty(const std::string& metric, const metrics::Uncertainty& found, SideScores& scores);

/// Of an interval that is asked for: why there is none.
void note_withheld(const std::string& metric, const std::string& why, const SideRules& rules,
                   SideScores& scores);

/// Of a metric, a standard error alone, and the JSON it stands in. `method` is how it was found.
Json& add_standard_error(const std::string& metric, double error, const std::string& estimand,
                         const std::string& method, SideScores& scores);

}  // namespace ddpm_eval::eval
