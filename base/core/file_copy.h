#pragma once

#include <filesystem>

namespace ddpm_eval::core {

/// Deletes a file if it is there. Throws ResourceError.
void remove_file(const std::filesystem::path& target);

/// Makes `target` a copy of `source` that appears whole or not at all: a second name of the same bytes where
/// the file system has such, so that it takes no room, else a copy of them. `source` must only ever be
/// replaced, as by AtomicFile, never written into. Throws ResourceError.
void keep_copy(const std::filesystem::path& source, const std::filesystem::path& target);

}  // namespace ddpm_eval::core
