#include "base/core/file_io.h"
#include "tests/support/run_fixture.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <tuple>

// Objectives and likelihood through the program.
namespace ddpm_eval {
namespace {

namespace fs = std::filesystem;

using nlohmann::json;
using testing::error_line;
using ::testing::HasSubstr;
using testing::run_program;

const std::string kPoints =
    "[data]\nsource = 'swiss-roll'\npoints = 500\n[model]\nkind = 'mlp'\n[model.mlp]\nwidth = 16\n"
    "[process]\nsteps = 20\nrescale = true\nbeta_end = 0.015\n"
    "[train]\nsteps = 30\nbatch_size = 32\nflip = false\nwarmup_steps = 5\n"
    "[sample]\nclip = false\n";

class Nll : public testing::RunFixture {
 protected:
  Nll() { std::ofstream(dir_ / "c.toml") << kPoints; }

  void train(const std::string& run, std::vector<std::string> settings = {}) const {
    std::vector<std::string> arguments = {"train", "--config", path("c.toml"), "--out", path(run)};
    for (auto& setting : settings) {
      arguments.insert(arguments.end(), {"--set", std::move(setting)});
    }
    const auto result = run_program(arguments);
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }

  json nll(const std::string& run, const std::string& out, std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments = {"nll",   "--run",   path(run), "--data", "swiss-roll?num=60&seed=7",
                                          "--out", path(out), "--json",  "-"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto result = run_program(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return json::parse(result.out, nullptr, /*allow_exceptions=*/false);
  }
};

TEST_F(Nll, EveryCellOfTable2TrainsSamplesAndHasABound) {
  const std::vector<std::vector<std::string>> cells = {
      {"objective.prediction=mu", "objective.variance=learned", "objective.loss=bound"},
      {"objective.prediction=mu", "objective.variance=fixedsmall", "objective.loss=bound"},
      {"objective.prediction=mu", "objective.variance=fixedsmall", "objective.loss=simple"},
      {"objective.prediction=eps", "objective.variance=learned", "objective.loss=bound"},
      {"objective.prediction=eps", "objective.variance=fixedsmall", "objective.loss=bound"},
      {"objective.prediction=eps", "objective.variance=fixedsmall", "objective.loss=simple"}};
  for (size_t i = 0; i < cells.size(); ++i) {
    const auto run = "cell" + std::to_string(i);
    train(run, cells[i]);
    const auto record = nll(run, run + "-nll");
    EXPECT_TRUE(std::isfinite(record["metrics"]["nats_per_dim"].get<double>()));
    EXPECT_EQ(record["objective"]["prediction"], i < 3 ? "mu" : "eps");
    const auto sampled =
        run_program({"sample", "--run", path(run), "--num", "5", "--out", path(run + ".npy")});
    EXPECT_EQ(sampled.exit_code, 0) << sampled.err;
  }
}

TEST_F(Nll, TheRecordIsTheSumOfItsParts) {
  train("run");
  const auto record = nll("run", "out");
  EXPECT_EQ(record["kind"], "likelihood");
  EXPECT_EQ(record["unit"], "nats/dim");
  EXPECT_THAT(record["decoder"].get<std::string>(), HasSubstr("continuous"));
  EXPECT_EQ(record["count"], 60);
  const auto part = [&](const char* name) { return record["parts"][name]["mean"].get<double>(); };
  EXPECT_NEAR(record["metrics"]["nats_per_dim"].get<double>(),
              part("regularisation") + part("denoising") + part("reconstruction"), 1e-12);
  EXPECT_GT(record["metrics"]["nats_per_dim_error"].get<double>(), 0.0);
  ASSERT_EQ(record["progressive_coding"].size(), 10U);
  EXPECT_EQ(record["progressive_coding"][0]["steps"], 20);
  EXPECT_NEAR(record["progressive_coding"][0]["rate"].get<double>(),
              part("regularisation") + part("denoising"), 1e-12);
  std::ifstream csv(dir_ / "out/curve.csv");
  std::string line;
  std::getline(csv, line);
  EXPECT_EQ(line, "first_t,steps,term,term_error,x_0_mse");
  int rows = 0;
  double denoising = 0;
  for (; std::getline(csv, line); ++rows) {
    double t = 0, steps = 0, term = 0;
    ASSERT_EQ(std::sscanf(line.c_str(), "%lf,%lf,%lf", &t, &steps, &term), 3);
    denoising += t > 0 ? term : 0;
  }
  EXPECT_EQ(rows, 20);
  EXPECT_NEAR(denoising, part("denoising"), 1e-9);
  EXPECT_TRUE(fs::exists(dir_ / "out/curve.svg"));
  EXPECT_FALSE(fs::exists(dir_ / "out/state.safetensors"));
}

TEST_F(Nll, AnInterruptedEvaluationEndsInTheSameNumbers) {
  // A chain long enough to be interrupted in.
  train("run", {"process.steps=1000"});
  const std::vector<std::string> command = {
      "nll",   "--run",       path("run"),     "--data", "swiss-roll?num=40",
      "--out", path("parts"), "--micro-batch", "1"};
  const auto cut = run_program(command, {.interrupt_once_there = dir_ / "parts"});
  ASSERT_EQ(cut.exit_code, 130) << cut.err;
  EXPECT_THAT(error_line(cut), HasSubstr("the same command goes on"));
  ASSERT_TRUE(fs::exists(dir_ / "parts/state.safetensors"));
  auto other = command;
  other.insert(other.end(), {"--seed", "5"});
  const auto refused = run_program(other);
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(error_line(refused), HasSubstr("is of an evaluation with another seed"));

  ASSERT_EQ(run_program(command).exit_code, 0);
  auto whole = command;
  whole[6] = path("whole");
  ASSERT_EQ(run_program(whole).exit_code, 0);
  const auto read = [&](const char* folder) {
    std::ifstream file(dir_ / folder / "nll.json");
    return json::parse(file);
  };
  EXPECT_EQ(read("parts")["metrics"], read("whole")["metrics"]);
  EXPECT_EQ(read("parts")["progressive_coding"], read("whole")["progressive_coding"]);
}

TEST_F(Nll, AFinishedEvaluationStays) {
  train("run");
  const auto record = nll("run", "out");
  EXPECT_EQ(record["trained_on"], "swiss-roll");
  EXPECT_EQ(record["data"], "swiss-roll?num=60&seed=7");
  EXPECT_FALSE(record.contains("makers"));
  const auto again = nll("run", "out");
  EXPECT_EQ(again, record) << "not evaluated anew, or `seconds` would differ";
  for (const auto& [data, seed, substance] :
       {std::tuple("swiss-roll?num=60&seed=8", "0", "is of an evaluation with another data; choose another"),
        std::tuple("swiss-roll?num=60&seed=7", "1",
                   "is of an evaluation with another seed; choose another")}) {
    const auto refused =
        run_program({"nll", "--run", path("run"), "--data", data, "--out", path("out"), "--seed", seed});
    EXPECT_EQ(refused.exit_code, 2) << refused.err;
    EXPECT_THAT(error_line(refused), HasSubstr(path("out/nll.json") + ": " + substance));
  }
  // One of a version that knew float32 alone is of that precision.
  auto older = record;
  older.erase("network_precision");
  std::ofstream(dir_ / "out/nll.json") << older;
  EXPECT_EQ(nll("run", "out"), older);
  // A record without what the command shows is made anew.
  auto damaged = record;
  damaged["parts"].erase("denoising");
  std::ofstream(dir_ / "out/nll.json") << damaged;
  EXPECT_EQ(nll("run", "out")["metrics"], record["metrics"]);
}

TEST_F(Nll, ADamagedStateIsRefusedAndOtherThreadsAreTold) {
  train("run", {"process.steps=1000"});
  const std::vector<std::string> command = {
      "nll", "--run", path("run"), "--data", "swiss-roll?num=3", "--out", path("out"), "--micro-batch", "1"};
  ASSERT_EQ(run_program(command, {.interrupt_once_there = dir_ / "out"}).exit_code, 130);
  const auto state = dir_ / "out/state.safetensors";
  const auto sound = core::read_text(state);
  auto flipped = sound;
  flipped.back() = static_cast<char>(flipped.back() ^ 1);
  core::write_file(state, flipped);
  const auto refused = run_program(command);
  EXPECT_EQ(refused.exit_code, 3) << refused.err;
  EXPECT_THAT(error_line(refused), HasSubstr("state.safetensors: does not match its digest"));

  core::write_file(state, sound);
  auto more_threads = command;
  more_threads.insert(more_threads.end(), {"--threads", "2"});
  const auto resumed = run_program(more_threads);
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, HasSubstr("begun by another version or with other --threads"));
  const auto record = json::parse(core::read_text(dir_ / "out/nll.json"));
  ASSERT_EQ(record["makers"].size(), 2U);
  EXPECT_EQ(record["makers"][0]["threads"], 1);
  EXPECT_EQ(record["makers"][1]["threads"], 2);
}

TEST_F(Nll, StrataNeedFewerPasses) {
  train("run");
  const auto record = nll("run", "out", {"--strata", "5"});
  EXPECT_EQ(record["strata"], 5);
  EXPECT_TRUE(record["progressive_coding"].empty());
  std::ifstream csv(dir_ / "out/curve.csv");
  std::stringstream text;
  text << csv.rdbuf();
  EXPECT_THAT(text.str(), HasSubstr("\n0,1,"));
  EXPECT_THAT(text.str(), HasSubstr("\n1,4,"));
}

TEST_F(Nll, WhatCannotBeEvaluatedIsRefused) {
  train("run");
  const auto refusal = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"nll", "--run", path("run"), "--out", path("o")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto result = run_program(arguments);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    return error_line(result);
  };
  EXPECT_THAT(
      refusal({"--data", "gaussian-noise:8x8x3?num=2"}),
      HasSubstr(
          "--data gaussian-noise:8x8x3?num=2: examples of shape [3, 8, 8], and the run was trained on [2]"));
  EXPECT_THAT(refusal({"--data", "swiss-roll", "--strata", "21"}),
              HasSubstr("--strata 21: 21 is neither 0 (every t) nor within 2.."));
}

TEST_F(Nll, ContradictingObjectivesAreRefusedBeforeTraining) {
  const auto refusal = [&](const std::vector<std::string>& settings) {
    std::vector<std::string> arguments = {"train", "--config", path("c.toml"), "--out", path("run")};
    for (const auto& setting : settings) {
      arguments.insert(arguments.end(), {"--set", setting});
    }
    const auto result = run_program(arguments);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_FALSE(fs::exists(dir_ / "run"));
    return error_line(result);
  };
  EXPECT_THAT(refusal({"objective.variance=learned"}),
              HasSubstr("is not trained by objective.loss = 'simple'"));
  EXPECT_THAT(refusal({"process.kind=jsd"}), HasSubstr("alpha_bar_T is 0"));
  EXPECT_THAT(refusal({"objective.prediction=epsilon"}), HasSubstr("objective.prediction"));
}

}  // namespace
}  // namespace ddpm_eval
