#include "tests/support/temp_dir.h"

#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>

#include <gtest/gtest.h>

// The architecture, checked: every include must point into the same room or one below it.
namespace ddpm_eval {
namespace {

namespace fs = std::filesystem;

/// What each room may include, itself left out.
const std::map<std::string, std::set<std::string>>& allowed_rooms() {
  static const std::map<std::string, std::set<std::string>> kAllowed = {
      {"base/core", {}},
      {"base/tensor", {"base/core"}},
      {"base/data", {"base/core", "base/tensor"}},
      {"base/training", {"base/core", "base/tensor", "base/data"}},
      {"ddpm", {"base/core", "base/tensor", "base/data", "base/training"}},
      {"metrics", {"base/core", "base/tensor", "base/data", "base/training"}},
      {"eval", {"base/core", "base/tensor", "base/data", "base/training", "ddpm", "metrics"}},
  };
  return kAllowed;
}

std::string room_of(const std::string& include) {
  for (const auto& [room, unused] : allowed_rooms()) {
    if (include.starts_with(room + "/")) {
      return room;
    }
  }
  return {};
}

struct Include {
  std::string file;
  std::string room;
  std::string path;
};

std::vector<Include> all_includes() {
  std::vector<Include> includes;
  const std::regex pattern(R"(^\s*#include\s+["<]([^">]+)[">])");
  for (const auto& [room, unused] : allowed_rooms()) {
    for (const auto& entry : fs::recursive_directory_iterator(testing::source_dir() / room)) {
      const auto extension = entry.path().extension();
      if (extension != ".h" && extension != ".cpp") {
        continue;
      }
      std::ifstream file(entry.path());
      std::smatch match;
      for (std::string line; std::getline(file, line);) {
        if (std::regex_search(line, match, pattern)) {
          includes.push_back({entry.path().string(), room, match[1]});
        }
      }
    }
  }
  return includes;
}

TEST(Rooms, IncludesPointDownwardsOnly) {
  const auto includes = all_includes();
  ASSERT_GT(includes.size(), 300U) << "the sources were not found";
  for (const auto& include : includes) {
    const auto target = room_of(include.path);
    if (!target.empty() && target != include.room) {
      EXPECT_TRUE(allowed_rooms().at(include.room).contains(target))
          << include.file << " includes " << include.path;
    }
  }
}

TEST(Rooms, HeavyHeadersStayOutOfOurHeaders) {
  const std::regex heavy(
      "^(opencv2/|toml\\+\\+/|CLI/|curl/|zip\\.h|archive\\.h|gif_lib\\.h|jpeglib\\.h|png\\.h|tiffio\\.h|webp/"
      "|lapacke\\.h|torch/"
      "(torch|nn|optim))");
  for (const auto& include : all_includes()) {
    if (include.file.ends_with(".h")) {
      EXPECT_FALSE(std::regex_search(include.path, heavy)) << include.file << " includes " << include.path;
    }
  }
}

TEST(Rooms, CoreKnowsNoLibTorch) {
  const std::regex libtorch("^(torch|ATen|c10)/");
  for (const auto& include : all_includes()) {
    if (include.room == "base/core") {
      EXPECT_FALSE(std::regex_search(include.path, libtorch)) << include.file << " includes " << include.path;
    }
  }
}

}  // namespace
}  // namespace ddpm_eval
