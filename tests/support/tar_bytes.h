#pragma once

#include "tests/support/files.h"

#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <zlib.h>

// Tar archives by POSIX's description of the ustar format, not through a library.
namespace ddpm_eval::testing {

struct TarEntry {
  std::string name;
  std::string content{};
  char type = '0';  ///< '1' hard link, '2' symbolic link, '5' folder, '6' pipe, 'x' attributes of the next
  std::string target{};  ///< of a link
};

/// Header and content, in whole blocks.
inline std::string tar_blocks(const TarEntry& entry) {
  std::string header(512, '\0');
  const auto put = [&](size_t at, const std::string& text) { header.replace(at, text.size(), text); };
  put(0, entry.name.substr(0, 100));
  put(100, "0000644");
  put(108, "0000000");
  put(116, "0000000");
  put(124, fmt::format("{:011o}", entry.content.size()));
  put(136, "00000000000");
  put(148, "        ");
  put(156, std::string(1, entry.type));
  put(157, entry.target);
  put(257, std::string("ustar\0", 6) + "00");
  unsigned sum = 0;
  for (const char byte : header) {
    sum += static_cast<unsigned char>(byte);
  }
  put(148, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
  return header + entry.content + std::string((512 - entry.content.size() % 512) % 512, '\0');
}

inline std::string tar_of(const std::vector<TarEntry>& entries) {
  std::string bytes;
  for (const auto& entry : entries) {
    bytes += tar_blocks(entry);
  }
  return bytes + std::string(1024, '\0');
}

/// A pax header that gives the next entry its name.
inline TarEntry pax_name(const std::string& name) {
  const size_t rest = std::string(" path=\n").size() + name.size();
  size_t length = rest + 1;
  while (length != rest + std::to_string(length).size()) {
    length = rest + std::to_string(length).size();
  }
  return {"PaxHeaders/x", fmt::format("{} path={}\n", length, name), 'x'};
}

inline void put_gzip(const std::filesystem::path& path, const std::string& bytes) {
  gzFile file = gzopen(path.c_str(), "wb1");
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size())), static_cast<int>(bytes.size()));
  EXPECT_EQ(gzclose(file), Z_OK);
}

/// Packed if the name ends in "gz".
inline void put_tar(const std::filesystem::path& path, const std::vector<TarEntry>& entries) {
  if (path.string().ends_with("gz")) {
    put_gzip(path, tar_of(entries));
  } else {
    put_file(path, tar_of(entries));
  }
}

}  // namespace ddpm_eval::testing
