#pragma once

#include "tests/support/files.h"
#include "tests/support/program.h"
#include "tests/support/records.h"
#include "tests/support/temp_dir.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::testing {

/// The smallest run of images that the built-in features take: 28 x 28, four steps, DDIM.
inline const std::string kTinyImages =
    "[data]\nsource = 'gaussian-noise:28x28x1?num=16'\n[model.unet]\nbase_channels = 8\nmultipliers = [1]\n"
    "res_blocks = 1\nattention_resolutions = []\ndropout = 0.0\ngroups = 4\n[process]\nsteps = 4\n"
    "[train]\nsteps = 1\nbatch_size = 2\n[sample]\nsampler = 'ddim'\nsteps = 2\nmicro_batch = 4\n";

/// A run of points.
inline const std::string kTinyPoints =
    "[data]\nsource = 'moons'\npoints = 200\n[model]\nkind = 'mlp'\n[model.mlp]\nwidth = 16\nlayers = 1\n"
    "[process]\nsteps = 8\n[train]\nsteps = 4\nbatch_size = 16\nflip = false\nwarmup_steps = 2\n"
    "[sample]\nclip = false\nmicro_batch = 50\n";

inline std::string bytes_of(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

inline nlohmann::json json_of(const std::filesystem::path& path) {
  return nlohmann::json::parse(bytes_of(path));
}

/// Calls of the program in a folder of their own.
class RunFixture : public ::testing::Test {
 protected:
  using Arguments = std::vector<std::string>;

  std::string path(const std::string& name) const { return (dir_ / name).string(); }

  /// What the call, which must go well, prints.
  static std::string done(const Arguments& arguments) {
    const auto result = run_program(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.out;
  }

  static nlohmann::json record_of(const Arguments& arguments) { return testing::record_of(arguments); }

  /// The call fails with this exit code and one line that has `substance` in it.
  static void refused(int exit_code, const Arguments& arguments, const std::string& substance) {
    const auto result = run_program(arguments);
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_THAT(error_line(result), ::testing::HasSubstr(substance));
    EXPECT_EQ(result.out, "");
  }

  /// Trains `config`, which becomes RUN.toml, into RUN.
  void train(const std::string& run, const std::string& config, const Arguments& more = {}) const {
    put_file(dir_ / (run + ".toml"), config);
    Arguments arguments = {"train", "--config", path(run + ".toml"), "--out", path(run)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    done(arguments);
  }

  TempDir dir_;
};

}  // namespace ddpm_eval::testing
