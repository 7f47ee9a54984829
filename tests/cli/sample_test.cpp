#include "tests/support/small_unet_fixture.h"

#include <filesystem>
#include <fstream>

// Sampling through the program, and scores of what was sampled, on networks small enough for a test.
namespace ddpm_eval {
namespace {

namespace fs = std::filesystem;

using testing::bytes_of;
using testing::error_line;
using ::testing::HasSubstr;
using testing::run_program;

/// 28 x 28, for the built-in features.
const std::vector<std::string> kBuiltInSize = {"--set", "data.source='gaussian-noise:28x28x1?num=16'",
                                               "--set", "model.unet.attention_resolutions=[14]"};

using SampleTest = testing::SmallUNetFixture;

TEST_F(SampleTest, SamplesDependOnSeedAndIndexAlone) {
  train("run");
  sample("run", "a.npz");
  sample("run", "b.npz", {"--seed", "0"});
  sample("run", "c.npz", {"--seed", "1"});
  EXPECT_EQ(bytes_of(dir_ / "a.npz"), bytes_of(dir_ / "b.npz"));
  EXPECT_NE(bytes_of(dir_ / "a.npz"), bytes_of(dir_ / "c.npz"));
  sample("run", "folder");
  EXPECT_TRUE(fs::exists(dir_ / "folder/000005.png"));
  EXPECT_FALSE(fs::exists(dir_ / "folder/000006.png"));
}

TEST_F(SampleTest, RoundingIsChosenAndToldInSamplesAndScores) {
  train("run", kBuiltInSize);
  sample("run", "near");
  sample("run", "below", {"--rounding", "truncate"});
  EXPECT_NE(bytes_of(dir_ / "near/000000.png"), bytes_of(dir_ / "below/000000.png"));
  const auto told = [&](const std::string& folder) {
    return nlohmann::json::parse(bytes_of(dir_ / folder / "samples.json"))["sampler"]["rounding"];
  };
  EXPECT_EQ(told("near"), "round");
  EXPECT_EQ(told("below"), "truncate");
  const auto scored = run_program({"fid", "--real", path("below"), "--fake",
                                   "run:" + path("run") + "?num=6&rounding=truncate", "--features",
                                   "fashion-mnist-small", "--json", "-"});
  ASSERT_EQ(scored.exit_code, 0) << scored.err;
  const auto record = nlohmann::json::parse(scored.out);
  EXPECT_EQ(record["fake"]["context"]["sampler"]["rounding"], "truncate");
  EXPECT_LT(record["metrics"]["frechet_distance"].get<double>(), 1e-6) << "the very same images";
  const auto refused =
      run_program({"sample", "--run", path("run"), "--num", "2", "--out", path("o"), "--rounding", "up"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(error_line(refused), HasSubstr("--rounding up: 'up' is not one of"));
}

TEST_F(SampleTest, ScoringARunEqualsScoringItsSamples) {
  train("run", kBuiltInSize);
  sample("run", "folder");
  const auto score = [&](const std::string& fake) {
    const auto result = run_program({"fid", "--real", "gaussian-noise:28x28x1?num=20", "--fake", fake,
                                     "--features", "fashion-mnist-small", "--json", "-"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return nlohmann::json::parse(result.out)["metrics"]["frechet_distance"].get<double>();
  };
  EXPECT_EQ(score("run:" + path("run") + "?num=6"), score(path("folder")));
  // From the middle of a micro-batch on.
  EXPECT_EQ(score("run:" + path("run") + "?first=3&num=3"), score(path("folder") + "?first=3&num=3"));
}

TEST_F(SampleTest, AFolderOfSamplesIsGoneOnWith) {
  train("run");
  sample("run", "whole", {"--grid", path("whole.png")});
  sample("run", "parts");
  for (const char* lost : {"000003.png", "000005.png"}) {  // as after a kill: files are written side by side
    fs::remove(dir_ / "parts" / lost);
  }
  std::ofstream(dir_ / "parts/000003.png.tmp-1-1") << "half";
  sample("run", "parts", {"--grid", path("parts.png")});
  for (int i = 0; i < 6; ++i) {
    const auto name = "00000" + std::to_string(i) + ".png";
    EXPECT_EQ(bytes_of(dir_ / "parts" / name), bytes_of(dir_ / "whole" / name)) << name;
  }
  EXPECT_FALSE(fs::exists(dir_ / "parts/000003.png.tmp-1-1"));
  EXPECT_EQ(bytes_of(dir_ / "parts/samples.json"), bytes_of(dir_ / "whole/samples.json"));
  EXPECT_EQ(bytes_of(dir_ / "parts.png"), bytes_of(dir_ / "whole.png"));

  const auto call = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"sample", "--run", path("run"), "--out", path("parts")});
    return run_program(arguments);
  };
  EXPECT_EQ(call({"--num", "9"}).exit_code, 0) << "more of the same samples";
  sample("run", "nine.npz", {"--num", "9"});
  auto result = call({"--num", "8"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(error_line(result), HasSubstr("holds 9 samples already, more than --num 8"));
  result = call({"--num", "10", "--seed", "1"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(error_line(result), HasSubstr("holds samples with another seed: 0 there, 1 here"));
  result = call({"--num", "10", "--steps", "2"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(error_line(result), HasSubstr("another sampler"));
  fs::remove(dir_ / "parts/samples.json");
  result = call({"--num", "10"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(error_line(result), HasSubstr("PNG files of unknown making"));
}

TEST_F(SampleTest, ScoresOfSamplesSayHowTheyWereMade) {
  train("run", kBuiltInSize);
  sample("run", "samples");
  sample("run", "samples.npz");
  fs::remove(dir_ / "samples/000005.png");
  const auto fake = [&](const std::string& source) {
    const auto result = run_program({"fid", "--real", "gaussian-noise:28x28x1?num=20", "--fake", path(source),
                                     "--features", "fashion-mnist-small", "--json", "-"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return nlohmann::json::parse(result.out)["fake"];
  };
  const auto of_folder = fake("samples");
  EXPECT_EQ(of_folder["context"]["sampler"]["steps"], 3);
  EXPECT_EQ(of_folder["context"]["seed"], 0);
  EXPECT_EQ(of_folder["context"]["checkpoint_sha256"].get<std::string>().size(), 64U);
  EXPECT_THAT(of_folder["notes"].dump(), HasSubstr("5 of the 6 samples"));
  EXPECT_EQ(fake("samples.npz")["context"], of_folder["context"]);
}

TEST_F(SampleTest, TargetsThatCannotBeMeantAreRefusedBeforeAnyWork) {
  train("run");
  const auto expect_refusal = [&](int exit_code, const std::vector<std::string>& options,
                                  const std::string& substance) {
    std::vector<std::string> arguments = {"sample", "--run", path("run")};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const auto result = run_program(arguments);
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_THAT(error_line(result), HasSubstr(substance));
  };
  for (const char* name : {"s.npy", "s.png", "s.jpg", "s.zip"}) {
    expect_refusal(2, {"--num", "2", "--out", path(name)},
                   std::string(name) + ": images are written to a folder or an .npz file");
  }
  expect_refusal(2, {"--num", "2", "--out", path("o"), "--grid", path("g.jpg")},
                 "g.jpg: the name must end in .png");
  expect_refusal(2, {"--num", "1000001", "--out", path("o")},
                 "--num 1000001: a folder holds at most 1000000 PNGs; write an .npz");
  expect_refusal(7, {"--num", "99999999999999999", "--out", path("o.npz")},
                 "o.npz: 99999999999999999 samples take 1.92e+10 GB, and ");
  EXPECT_EQ(std::distance(fs::directory_iterator(dir_.path()), {}), 2) << "the run and its configuration";
}

TEST_F(SampleTest, BadSamplingOptionsAreRefused) {
  train("run");
  auto result =
      run_program({"sample", "--run", path("run"), "--num", "2", "--out", path("o"), "--steps", "11"});
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_EQ(error_line(result),
            "--steps 11: 11 is not within 1..10, the steps of the trained chain (0 means all of them)");
  result =
      run_program({"sample", "--run", path("run"), "--num", "2", "--out", path("o"), "--sampler", "dim"});
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_THAT(error_line(result), HasSubstr("--sampler dim: 'dim' is not one of"));
  EXPECT_THAT(error_line(result), HasSubstr("ddim"));
  result = run_program({"sample", "--run", path("run"), "--num", "2", "--out", path("o"), "--steps", "x"});
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_EQ(error_line(result), "--steps x: expected an integer, found a string");
  const auto source = "run:" + path("run") + "?num=2&foo=1";
  result = run_program({"is", "--fake", source, "--features", "fashion-mnist-small"});
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_EQ(error_line(result), "source '" + source + "': foo: unknown key 'sample.foo'");
  result = run_program({"sample", "--run", path("none"), "--num", "2", "--out", path("o")});
  EXPECT_EQ(result.exit_code, 3) << result.err;
  result = run_program({"sample", "--run", path("run"), "--num", "0", "--out", path("o")});
  EXPECT_EQ(result.exit_code, 2) << result.err;
}

}  // namespace
}  // namespace ddpm_eval
