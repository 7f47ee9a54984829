#pragma once

#include <filesystem>
#include <fstream>
#include <string_view>

namespace ddpm_eval::testing {

/// Writes a file without syncing it: tests write thousands.
inline void put_file(const std::filesystem::path& path, std::string_view contents) {
  std::ofstream(path, std::ios::binary).write(contents.data(), static_cast<std::streamsize>(contents.size()));
}

}  // namespace ddpm_eval::testing
