#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace ddpm_eval::eval {

/// Throws UsageError unless the name of `target` ends in one of `endings` (".npz"), by which what is written
/// is known again. Devices and pipes may have any name.
void require_ending(const char* flag, const std::filesystem::path& target,
                    const std::vector<std::string>& endings);

}  // namespace ddpm_eval::eval
