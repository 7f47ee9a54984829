#include "tests/support/procs_fixture.h"
#include "tests/support/small_unet_fixture.h"

#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

// Processes of a launcher that do not find the same files: each has a folder of its own to begin from, as
// machines have that do not share theirs.
namespace ddpm_eval {
namespace {

namespace fs = std::filesystem;

using testing::error_line;
using ::testing::HasSubstr;
using testing::kTinyImages;
using testing::ProgramOptions;
using testing::put_file;
using testing::run_launched;

const std::vector<std::string> kScore = {"fid",     "--real",     "gaussian-noise:28x28x1?num=8", "--fake",
                                         "samples", "--features", "fashion-mnist-small"};

class ProcsInputs : public testing::ProcsTest {
 protected:
  ProcsInputs() {
    for (const int rank : {0, 1}) {
      fs::create_directory(dir_ / folder_of(rank));
    }
  }

  static std::string folder_of(int rank) { return "rank" + std::to_string(rank); }

  fs::path at(int rank, const std::string& name) const { return dir_ / folder_of(rank) / name; }

  /// Samples for a process, drawn by a seed.
  void draw(int rank, int num, int seed) const {
    done({"sample", "--run", path("run"), "--out", at(rank, "samples").string(), "--num", std::to_string(num),
          "--seed", std::to_string(seed)});
  }

  std::vector<testing::ProgramResult> run(const Arguments& arguments) const {
    return run_launched(2, arguments, [&](int rank) {
      ProgramOptions options;
      options.working_folder = dir_ / folder_of(rank);
      return options;
    });
  }

  /// Both end with this exit code: what the first says of it, alone.
  std::string refusal(const Arguments& arguments, int exit_code) const {
    const auto results = run(arguments);
    for (const auto& result : results) {
      EXPECT_EQ(result.exit_code, exit_code) << result.err;
    }
    EXPECT_EQ(results[0].out + results[1].out + results[1].err, "");
    return error_line(results[0]);
  }

  /// As refusal(), of what rank 1 has found.
  void refused_by_the_other(const Arguments& arguments, int exit_code, const std::string& substance) const {
    const auto line = refusal(arguments, exit_code);
    EXPECT_THAT(line, HasSubstr("rank 1 on "));
    EXPECT_THAT(line, HasSubstr(substance));
  }
};

TEST_F(ProcsInputs, OtherImagesAreFound) {
  train("run", kTinyImages);
  draw(0, 8, 1);
  draw(1, 8, 2);
  refused_by_the_other(kScore, 3, "the images of samples: not the same here as on the first process");
  put_file(dir_ / "c.toml", std::string(testing::kSmallUNet).replace(0, 46, "[data]\nsource = 'samples'\n"));
  refused_by_the_other({"train", "--config", path("c.toml"), "--out", path("trained")}, 3,
                       "the images of samples: not the same here");
  EXPECT_FALSE(fs::exists(dir_ / "trained"));
  refused_by_the_other({"nll", "--run", path("run"), "--data", "samples", "--out", path("nll")}, 3,
                       "the images of samples: not the same here");
}

TEST_F(ProcsInputs, AnotherNumberOfImagesIsFound) {
  train("run", kTinyImages);
  draw(0, 40, 1);
  draw(1, 8, 1);
  refused_by_the_other(kScore, 3, "samples, 8 images: not the same here");
}

// Of as many files, so that the numbers of rounds, of 128 images a process, differ before those of images are
// known.
TEST_F(ProcsInputs, FilesThatOneCannotReadAreFound) {
  train("run", kTinyImages);
  for (const int rank : {0, 1}) {
    draw(rank, 2, 1);
    for (int copy = 2; copy < 300; ++copy) {
      fs::copy_file(at(rank, "samples/000001.png"), at(rank, fmt::format("samples/{:06}.png", copy)));
    }
  }
  const auto spoil = [&](int rank, int first, int end) {
    for (int image = first; image < end; ++image) {
      put_file(at(rank, fmt::format("samples/{:06}.png", image)), "no image");
    }
  };
  spoil(1, 270, 300);
  EXPECT_THAT(refusal(kScore, 3), HasSubstr("samples, 270 images: not the same here"));
  spoil(1, 200, 270);
  EXPECT_THAT(refusal(kScore, 3), HasSubstr("all must be given the same files and flags"));
  spoil(1, 6, 200);
  EXPECT_THAT(refusal(kScore, 3), HasSubstr("all must be given the same files and flags"));
  spoil(0, 3, 300);
  EXPECT_THAT(refusal(kScore, 3), HasSubstr("samples, 6 images: not the same here"));
}

TEST_F(ProcsInputs, AnotherConfigurationIsFound) {
  put_file(at(0, "c.toml"), testing::kSmallUNet);
  put_file(at(1, "c.toml"), testing::kSmallUNet + "[score]\nevery = 0\n");
  const auto results = run({"train", "--config", "c.toml", "--out", path("run")});
  EXPECT_EQ(results[0].exit_code, 0) << results[0].err;  // what is written out is the default

  put_file(at(1, "c.toml"), testing::kTinyImages);
  refused_by_the_other(
      {"train", "--config", "c.toml", "--out", path("other")}, 2,
      "data.source is \"gaussian-noise:28x28x1?num=16\" here and \"gaussian-noise:8x8x3?num=32\" on "
      "the first process");
}

TEST_F(ProcsInputs, AnotherRunIsFound) {
  for (const int rank : {0, 1}) {
    put_file(at(rank, "c.toml"), kTinyImages);
    done({"train", "--config", at(rank, "c.toml").string(), "--out", at(rank, "run").string(), "--set",
          "train.seed=" + std::to_string(rank)});
  }
  refused_by_the_other({"sample", "--run", "run", "--num", "9", "--out", path("samples")}, 3,
                       "run: not the same here as on the first process");
}

TEST_F(ProcsInputs, OtherFlagsAreFound) {
  train("run", kTinyImages);
  const auto refused = [&](const Arguments& call, const Arguments& of_first, const Arguments& of_second,
                           const std::string& substance) {
    const auto results = run_launched({joined(call, of_first), joined(call, of_second)});
    EXPECT_EQ(results[0].exit_code, 3) << results[0].err;
    EXPECT_EQ(results[1].exit_code, 3) << results[1].err;
    EXPECT_THAT(error_line(results[0]), HasSubstr(substance));
  };
  const Arguments likelihood = {"nll",   "--run",    path("run"), "--data", "gaussian-noise:28x28x1?num=9",
                                "--out", path("nll")};
  refused(likelihood, {"--seed", "1"}, {"--seed", "2"}, "the settings of the evaluation: not the same here");
  const Arguments sampling = {"sample", "--run", path("run"), "--out", path("samples")};
  refused(sampling, {"--num", "8"}, {"--num", "12"}, "--num: not the same here");
  refused(sampling, {"--num", "12"}, {"--num", "8"}, "--num: not the same here");
  EXPECT_FALSE(fs::exists(dir_ / "samples"));
}

}  // namespace
}  // namespace ddpm_eval
