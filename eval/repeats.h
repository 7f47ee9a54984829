#pragma once

#include "eval/side_scores.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

// The same score of several samples from one source: `score --repeats N`.
namespace ddpm_eval::eval {

/// The source with N seeds in turn: its own, the next one, ... Throws UsageError for a source that has no
/// seed, and for seeds beyond 64 bits. At least 2.
std::vector<std::string> repeated_sources(const std::string& source, int64_t repeats);

/// The score of one sample.
struct SampleScore {
  Json side;  ///< its part of a record
  SideScores scores;
};

/// Calls `score` with each of `sources` in turn and puts what was found into the record. Of one source that
/// is record["metrics"], "uncertainty" if there is any, and "parts". Of several, as repeated_sources() gives
/// them, the metrics are means, which a note tells, and record["repeats"] has their number, the sample
/// standard deviations and each sample's own scores, without what its side depends on beyond the seed.
void add_scores(const std::vector<std::string>& sources,
                const std::function<SampleScore(const std::string& source)>& score, Json& record);

}  // namespace ddpm_eval::eval
