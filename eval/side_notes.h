#pragma once

#include "base/core/json.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ddpm_eval::eval {

/// How many images of statistics or features came from lossy files, by their provenance, which
/// data::check_provenance() has passed; none where it does not say so of all of them.
std::optional<int64_t> told_lossy(const core::Json& provenance);

/// Adds those of `notes` that `all` does not have yet.
void add_notes(const std::vector<std::string>& notes, core::Json& all);

/// Adds to `notes` that the images of one side come from lossy files and those of the other do not, or not to
/// the same share within a hundredth: compression alone then moves the score. `real` and `fake` are the
/// sides' records; of statistics it is known where their file says it.
void note_unlike_files(const core::Json& real, const core::Json& fake, core::Json& notes);

}  // namespace ddpm_eval::eval
