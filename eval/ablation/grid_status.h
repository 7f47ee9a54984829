#pragma once

#include "eval/ablation/grid_folder.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {

/// How far a grid is, a record of kind "ablation status": of every job cell, seed, `state` (waiting, running,
/// done, diverged or failed) and, where it applies, `seconds` it took, `first_bad_step`, `message` of its
/// failure, `step` of its training or whose training it waits for (`needs`); `counts` by state; and
/// `seconds_left` by the jobs that are done, with those that run now at a time, or null.
core::Json grid_status(const GridFolder& folder);

/// The same as lines of text, as `ablate status` prints it.
std::string describe_status(const core::Json& status);

/// Step of the last whole line of a training's log, however long it is; nothing if there is none.
std::optional<int64_t> last_logged_step(const std::filesystem::path& log);

}  // namespace ddpm_eval::eval
