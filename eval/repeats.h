#pragma once

#include "base/core/record.h"

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

// The same score of several samples from one source: `score --repeats N`.
namespace ddpm_eval::eval {

/// The source with N seeds in turn: its own, the next one, ... Throws UsageError for a source that has no
/// seed, and for seeds beyond 64 bits. At least 2.
std::vector<std::string> repeated_sources(const std::string& source, int64_t repeats);

/// What is kept of one sample's score: its source and seed, its `side`'s part of a record without what it
/// depends on beyond the seed, which is the same for all, and what was found.
core::Json repeat_entry(const std::string& source, const core::Json& side, const core::Json& metrics,
                        const core::Json& parts, const core::Json& uncertainty);

/// record["metrics"]: the means over `entries`, which a note tells, and record["repeats"]: their number, the
/// sample standard deviations and the entries. All entries have the same metrics.
void add_repeats(std::vector<core::Json> entries, core::Json& record);

}  // namespace ddpm_eval::eval
