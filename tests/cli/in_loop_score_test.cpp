#include "tests/support/run_fixture.h"

#include <filesystem>
#include <sstream>

// Runs that are scored while they are trained, through the program.
namespace ddpm_eval {
namespace {

namespace fs = std::filesystem;

using testing::bytes_of;
using testing::error_line;
using ::testing::HasSubstr;
using testing::run_program;

const std::string kPoints =
    "[data]\nsource = 'moons'\npoints = 500\n[model]\nkind = 'mlp'\n[model.mlp]\nwidth = 16\nlayers = 1\n"
    "[process]\nsteps = 20\n"
    "[train]\nsteps = 40\nbatch_size = 16\nflip = false\nwarmup_steps = 2\nlog_every = 10\n"
    "checkpoint_every = 0\nlearning_rate = 1e-2\nema_decay = 0.9\ntensorboard = true\n"
    "[sample]\nclip = false\nmicro_batch = 100\n"
    "[score]\nevery = 10\nnum = 150\nreal = 'moons?num=200&seed=9'\n";

class InLoopScoreTest : public testing::RunFixture {
 protected:
  InLoopScoreTest() { testing::put_file(dir_ / "c.toml", kPoints); }

  testing::ProgramResult train(const std::string& run, std::vector<std::string> extra = {},
                               const testing::ProgramOptions& options = {}) const {
    std::vector<std::string> arguments = {"train", "--config", path("c.toml"), "--out", path(run)};
    arguments.insert(arguments.end(), extra.begin(), extra.end());
    return run_program(arguments, options);
  }
};

TEST_F(InLoopScoreTest, TheBestWeightsAreKeptAndReportedOnOtherSamples) {
  const auto result = train("run");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  std::istringstream lines(bytes_of(dir_ / "run/scores.jsonl"));
  std::vector<nlohmann::json> scores;
  for (std::string line; std::getline(lines, line);) {
    scores.push_back(nlohmann::json::parse(line));
  }
  ASSERT_EQ(scores.size(), 4U);
  auto best = scores[0];
  for (const auto& score : scores) {
    EXPECT_EQ(score["metric"], "sliced_wasserstein_distance");
    EXPECT_EQ(score["count"], 150);
    EXPECT_EQ(score["real_count"], 200);
    EXPECT_EQ(score["seed"], 0);
    EXPECT_EQ(score["weights"], "ema");
    best = score["value"] < best["value"] ? score : best;
  }
  const auto record = testing::json_of(dir_ / "run/run.json")["score"];
  EXPECT_EQ(record["step"], best["step"]);
  EXPECT_EQ(record["seed"], 1);
  EXPECT_EQ(record["chosen_by"]["value"], best["value"]);
  EXPECT_THAT(result.out, HasSubstr("best weights: step " + best["step"].dump()));

  // The very numbers that `score` finds with these weights.
  for (const auto& [seed, value] : {std::pair{"0", best["value"]}, std::pair{"1", record["value"]}}) {
    const auto scored =
        run_program({"score", "--real", "moons?num=200&seed=9", "--fake",
                     "run:" + path("run") + "?num=150&weights=best&seed=" + seed, "--json", "-"});
    ASSERT_EQ(scored.exit_code, 0) << scored.err;
    const auto there = nlohmann::json::parse(scored.out);
    EXPECT_EQ(there["metrics"]["sliced_wasserstein_distance"], value);
    EXPECT_EQ(there["fake"]["context"]["weights"], "best");
    EXPECT_EQ(there["fake"]["context"]["step"], best["step"]);
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(dir_ / "run/tensorboard"), {}), 1);
}

TEST_F(InLoopScoreTest, AnInterruptedRunEndsInTheSameBytes) {
  ASSERT_EQ(train("whole").exit_code, 0);
  const auto first = train("parts", {}, {.interrupt_once_there = dir_ / "parts/checkpoint.safetensors"});
  EXPECT_THAT(first.exit_code, ::testing::AnyOf(0, 130)) << first.err;
  const auto second = train("parts", {"--resume"});
  EXPECT_EQ(second.exit_code, 0) << second.err;
  for (const char* name : {"checkpoint.safetensors", "best.safetensors", "scores.jsonl"}) {
    EXPECT_EQ(bytes_of(dir_ / "parts" / name), bytes_of(dir_ / "whole" / name)) << name;
  }
}

TEST_F(InLoopScoreTest, AScoreThatAKillHasLeftOutIsMadeUp) {
  ASSERT_EQ(train("whole").exit_code, 0);
  ASSERT_EQ(train("parts", {"--set", "train.steps=10"}).exit_code, 0);
  fs::create_directory(dir_ / "kept");
  for (const char* name : {"best.safetensors", "scores.jsonl"}) {
    fs::copy(dir_ / "parts" / name, dir_ / "kept" / name);
  }
  ASSERT_EQ(train("parts", {"--resume", "--set", "train.steps=20"}).exit_code, 0);
  // As after a kill between the checkpoint of step 20 and its score.
  for (const char* name : {"best.safetensors", "scores.jsonl"}) {
    fs::remove(dir_ / "parts" / name);
    fs::copy(dir_ / "kept" / name, dir_ / "parts" / name);
  }
  ASSERT_EQ(train("parts", {"--resume"}).exit_code, 0);
  for (const char* name : {"best.safetensors", "scores.jsonl"}) {
    EXPECT_EQ(bytes_of(dir_ / "parts" / name), bytes_of(dir_ / "whole" / name)) << name;
  }
}

TEST_F(InLoopScoreTest, WhatContradictsItselfIsRefused) {
  const auto expect_refusal = [&](const std::string& setting, const std::string& substance) {
    const auto result = train("refused", {"--set", setting});
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_THAT(error_line(result), HasSubstr(substance));
  };
  expect_refusal("score.num=0", "--set score.num=0: 0: a score needs to be told its number of samples");
  expect_refusal("score.real=''", "--set score.real='': names no reference");
  expect_refusal("score.every=41", "--set score.every=41: 41 is above train.steps = 40");
  expect_refusal("score.seed=1", "c.toml: score.report_seed: 1 is score.seed too");
  expect_refusal("score.metric='frechet_distance'",
                 "--set score.metric='frechet_distance': 'frechet_distance' is for images");
  expect_refusal("score.features='inception'",
                 "--set score.features='inception': points are compared without features");
  expect_refusal("score.real='gaussian-noise:8x8x1?num=9'", "holds no points in the plane");
  expect_refusal("train.accumulate=3", "--set train.accumulate=3: 3 does not divide the batch size of 16");
}

TEST_F(InLoopScoreTest, OtherScoresAndMissingWeightsAreTold) {
  ASSERT_EQ(train("run", {"--set", "train.steps=20"}).exit_code, 0);
  auto result = train("run", {"--resume", "--set", "score.num=160"});
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_THAT(error_line(result), HasSubstr("has scores with another count: 150 there, 160 here"));
  ASSERT_EQ(train("unscored", {"--set", "score.every=0"}).exit_code, 0);
  result = run_program(
      {"sample", "--run", path("unscored"), "--num", "2", "--out", path("o.npy"), "--weights", "best"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(error_line(result), HasSubstr("unscored: has no best weights"));
  result =
      run_program({"sample", "--run", path("run"), "--num", "2", "--out", path("o.npy"), "--weights", "top"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(error_line(result), HasSubstr("--weights top: 'top' is not one of ema, last or best"));
}

TEST_F(InLoopScoreTest, ImagesAreScoredOnFeatures) {
  RunFixture::train("run",
                    testing::kTinyImages +
                        "[score]\nevery = 1\nnum = 6\n"
                        "real = 'gaussian-noise:28x28x1?num=20'\n"
                        "features = 'fashion-mnist-small'\n",
                    {"--set", "train.steps=2"});
  const auto record = testing::json_of(dir_ / "run/run.json")["score"];
  EXPECT_EQ(record["metric"], "frechet_distance");
  EXPECT_EQ(record["features"]["name"], "fashion-mnist-small");
  const auto scored = run_program({"fid", "--real", "gaussian-noise:28x28x1?num=20", "--fake",
                                   "run:" + path("run") + "?num=6&weights=best&seed=1", "--features",
                                   "fashion-mnist-small", "--json", "-"});
  ASSERT_EQ(scored.exit_code, 0) << scored.err;
  EXPECT_EQ(nlohmann::json::parse(scored.out)["metrics"]["frechet_distance"], record["value"]);

  // Against statistics of the same images, whose features are then settled, the same number.
  const auto stats = run_program({"stats", "--data", "gaussian-noise:28x28x1?num=20", "--out", path("s.npz"),
                                  "--features", "fashion-mnist-small"});
  ASSERT_EQ(stats.exit_code, 0) << stats.err;
  const auto again =
      run_program({"train", "--config", path("run.toml"), "--out", path("stored"), "--set", "train.steps=2",
                   "--set", "score.real='" + path("s.npz") + "'", "--set", "score.features=''"});
  ASSERT_EQ(again.exit_code, 0) << again.err;
  const auto stored = testing::json_of(dir_ / "stored/run.json")["score"];
  EXPECT_NEAR(stored["value"].get<double>(), record["value"].get<double>(), 1e-12)
      << "from a covariance instead of the features themselves";
  EXPECT_EQ(stored["features"], record["features"]);
  EXPECT_EQ(stored["real_count"], 20);
}

}  // namespace
}  // namespace ddpm_eval
