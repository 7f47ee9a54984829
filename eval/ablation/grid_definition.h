#pragma once

#include "eval/ablation/grid.h"

#include <filesystem>
#include <string>

#include <nlohmann/json.hpp>

// What a job's numbers depend on, as its folder keeps it, and whether what lies there is the job's own. A
// file that was copied there from another cell or seed would make a table that is wrong and looks right.
namespace ddpm_eval::eval {

/// The definition's digest in the job's records.
inline constexpr const char* kDefinitionDigest = "definition_sha256";

/// definition.json of a job: cell, seed and Grid::definition_of().
core::Json job_definition(const Grid& grid, const GridJob& job);

/// SHA-256 of a definition's JSON, however it is laid out in the file.
std::string definition_digest(const core::Json& definition);

/// "config.train.steps is 21 and was 20": the first key by which numbers of the definition `now` are others
/// than those of `then`; empty if there is none. Keys that an earlier version did not write count as their
/// defaults, and those that no number depends on (train.log_every, train.checkpoint_every, ...) do not count.
std::string definition_difference(const core::Json& now, const core::Json& then);

/// Whether anything in a job's folder was made from its definition, which then must stay.
bool has_results(const std::filesystem::path& job_folder);

/// `file` is the definition, a record or the training record of `job` and holds `content`. Throws DataError
/// if that is of another cell or seed, or if the definition.json beside a record is missing or is not the one
/// that the record was made from. Records of earlier versions do not name theirs: what they tell of it is
/// compared with the grid's own.
void require_own(const Grid& grid, const GridJob& job, const std::filesystem::path& file,
                 const core::Json& content);

}  // namespace ddpm_eval::eval
