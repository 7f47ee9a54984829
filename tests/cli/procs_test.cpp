#include "base/data/safetensors.h"
#include "tests/support/small_unet_fixture.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

// One command on several processes: the same images and numbers, and an end with a reason where one is lost.
namespace ddpm_eval {
namespace {

namespace fs = std::filesystem;

using testing::bytes_of;
using testing::error_line;
using ::testing::HasSubstr;
using testing::json_of;
using testing::kTinyImages;
using testing::kTinyPoints;
using testing::ProgramOptions;
using testing::run_program;
using ::testing::StartsWith;

/// The processes that `parent` has started, in the order of their numbers.
std::vector<pid_t> children_of(pid_t parent) {
  std::ifstream file("/proc/" + std::to_string(parent) + "/task/" + std::to_string(parent) + "/children");
  std::vector<pid_t> children;
  for (pid_t child = 0; file >> child;) {
    children.push_back(child);
  }
  std::ranges::sort(children);
  return children;
}

class ProcsTest : public testing::RunFixture {
 protected:
  /// The files of a folder of samples, one after the other.
  std::string images_of(const std::string& folder) const {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(dir_ / folder)) {
      if (entry.path().extension() == ".png") {
        files.push_back(entry.path());
      }
    }
    std::ranges::sort(files);
    std::string bytes = std::to_string(files.size());
    for (const auto& file : files) {
      bytes += bytes_of(file);
    }
    return bytes;
  }

  Arguments sampling(const std::string& out, int num, const Arguments& more) const {
    Arguments arguments = {"sample", "--run", path("run"), "--num", std::to_string(num), "--out", path(out)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
};

class SlowProcsTest : public ProcsTest {};

// The micro-batch of the run is 4: 10 samples are two whole ones and a half, for 1, 2, 3 and more processes.
TEST_F(ProcsTest, SamplesAreTheSameOnAnyNumberOfProcesses) {
  train("run", kTinyImages);
  done(sampling("one", 10, {}));
  done(sampling("one.npz", 10, {}));
  for (const std::string procs : {"2", "3", "5"}) {
    done(sampling("on" + procs, 10, {"--procs", procs}));
    EXPECT_EQ(images_of("on" + procs), images_of("one"));
    EXPECT_EQ(bytes_of(dir_ / ("on" + procs) / "samples.json"), bytes_of(dir_ / "one" / "samples.json"));
  }
  done(sampling("three.npz", 10, {"--procs", "3", "--grid", path("grid.png")}));
  EXPECT_EQ(bytes_of(dir_ / "three.npz"), bytes_of(dir_ / "one.npz"));
  EXPECT_TRUE(fs::exists(dir_ / "grid.png"));
}

TEST_F(ProcsTest, PointsAreTheSameOnAnyNumberOfProcesses) {
  train("run", kTinyPoints);
  done(sampling("one.npy", 120, {}));
  for (const std::string procs : {"2", "5"}) {
    const auto name = "on" + procs + ".npy";
    done(sampling(name, 120, {"--procs", procs}));
    EXPECT_EQ(bytes_of(dir_ / name), bytes_of(dir_ / "one.npy"));
  }
}

TEST_F(ProcsTest, AFolderIsGoneOnWithByAnotherNumberOfProcesses) {
  train("run", kTinyImages);
  done(sampling("all", 21, {}));
  done(sampling("grown", 9, {"--procs", "3"}));
  done(sampling("grown", 21, {"--procs", "2"}));
  EXPECT_EQ(images_of("grown"), images_of("all"));
}

TEST_F(ProcsTest, ScoresAreTheSameOnAnyNumberOfProcesses) {
  train("run", kTinyImages);
  done(sampling("fake", 150, {}));
  Arguments scoring = {"score",
                       "--real",
                       "gaussian-noise:28x28x1?num=333&seed=3",
                       "--fake",
                       path("fake"),
                       "--features",
                       "fashion-mnist-small",
                       "--metrics",
                       "fid,is,kid,prdc",
                       "--kid-subset-size",
                       "20",
                       "--kid-subsets",
                       "3"};
  const auto one = record_of(scoring);
  EXPECT_FALSE(one["runtime"].contains("processes"));
  for (const std::string procs : {"2", "3", "5"}) {
    auto shared = scoring;
    shared.insert(shared.end(), {"--procs", procs});
    const auto several = record_of(shared);
    EXPECT_EQ(several["runtime"]["processes"], std::stoi(procs));
    EXPECT_EQ(several["metrics"].size(), one["metrics"].size());
    EXPECT_GT(one["metrics"].size(), 8U);
    for (const auto& [name, value] : one["metrics"].items()) {
      if (value.is_number()) {
        EXPECT_NEAR(several["metrics"][name].get<double>(), value.get<double>(),
                    1e-10 * std::abs(value.get<double>()))
            << name << " on " << procs;
      }
    }
    EXPECT_EQ(several["real"]["count"], 333);
    EXPECT_EQ(several["fake"]["count"], 150);
  }
}

TEST_F(ProcsTest, StatisticsAndTheRunItselfAreShared) {
  train("run", kTinyImages);
  const std::string run = "run:" + path("run") + "?num=30";
  done({"stats", "--data", run, "--features", "fashion-mnist-small", "--out", path("a.npz"), "--features-out",
        path("a.safetensors")});
  done({"stats", "--data", run, "--features", "fashion-mnist-small", "--out", path("b.npz"), "--features-out",
        path("b.safetensors"), "--procs", "3"});
  for (const char* kind : {".npz", ".safetensors"}) {
    const auto distance = record_of({"fid", "--real", path("a") + kind, "--fake", path("b") + kind});
    EXPECT_LT(distance["metrics"]["frechet_distance"].get<double>(), 1e-9);
  }
}

// 130 examples are six micro-batches and a half.
TEST_F(ProcsTest, LikelihoodsAreTheSameOnAnyNumberOfProcesses) {
  train("run", kTinyPoints);
  const auto evaluate = [&](const std::string& out, const std::string& procs) {
    return done({"nll", "--run", path("run"), "--data", "moons?num=130&seed=2", "--micro-batch", "20",
                 "--out", path(out), "--procs", procs});
  };
  evaluate("one", "1");
  const auto one = json_of(dir_ / "one" / "nll.json");
  for (const std::string procs : {"2", "3", "9"}) {
    const auto said = evaluate("on" + procs, procs);
    const auto record = json_of(dir_ / ("on" + procs) / "nll.json");
    EXPECT_EQ(record["metrics"], one["metrics"]);
    EXPECT_EQ(record["parts"], one["parts"]);
    EXPECT_EQ(record["count"], 130);
    EXPECT_EQ(bytes_of(dir_ / ("on" + procs) / "curve.csv"), bytes_of(dir_ / "one" / "curve.csv"));
    EXPECT_THAT(said, HasSubstr("130 examples of moons"));
  }
  const auto again = run_program({"nll", "--run", path("run"), "--data", "moons?num=130&seed=2",
                                  "--micro-batch", "20", "--out", path("one"), "--procs", "2"});
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.err, HasSubstr("was complete; its record stays"));
}

class TrainingOnProcs : public ProcsTest {
 protected:
  void SetUp() override { testing::put_file(dir_ / "c.toml", testing::kSmallUNet); }

  Arguments training(const std::string& run, const Arguments& more) const {
    Arguments arguments = {"train", "--config", path("c.toml"), "--out", path(run)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  /// Two runs agree to 1e-5 in every tensor of their checkpoints, relative to its largest value.
  void same_weights(const std::string& a, const std::string& b) const {
    const auto one = data::read_safetensors(dir_ / a / "checkpoint.safetensors").tensors;
    const auto other = data::read_safetensors(dir_ / b / "checkpoint.safetensors").tensors;
    ASSERT_EQ(one.size(), other.size());
    EXPECT_GT(one.size(), 100U);
    for (size_t i = 0; i < one.size(); ++i) {
      ASSERT_EQ(one[i].name, other[i].name);
      if (one[i].name.starts_with("adam")) {
        continue;  // squares of gradients near 0 are as exact as these are large
      }
      const double size = one[i].tensor.abs().max().item<double>();
      EXPECT_LE((one[i].tensor - other[i].tensor).abs().max().item<double>(), 1e-5 * std::max(size, 1e-2))
          << one[i].name;
    }
  }
};

// A batch of 4 for 2 processes, for 3 with a remainder, and for 5 of which one has nothing.
TEST_F(TrainingOnProcs, TwentyStepsAreThoseOfOneProcess) {
  const Arguments twenty = {"--set", "train.steps=20"};
  done(training("one", twenty));
  for (const std::string procs : {"2", "3", "5"}) {
    auto shared = twenty;
    shared.insert(shared.end(), {"--procs", procs});
    done(training("on" + procs, shared));
    same_weights("one", "on" + procs);
    const auto record = json_of(dir_ / ("on" + procs) / "run.json");
    EXPECT_EQ(record["runtime"]["processes"], std::stoi(procs));
    EXPECT_EQ(record["step"], 20);
    EXPECT_TRUE(fs::exists(dir_ / ("on" + procs) / "log.jsonl"));
  }
  auto parts = twenty;
  parts.insert(parts.end(), {"--procs", "2", "--set", "train.accumulate=4"});
  done(training("parts", parts));
  same_weights("one", "parts");
}

TEST_F(TrainingOnProcs, ARunIsGoneOnWithByAnotherNumberOfProcesses) {
  done(training("one", {}));
  done(training("broken", {"--set", "train.steps=4", "--procs", "3"}));
  done(training("broken", {"--resume", "--procs", "2"}));
  same_weights("one", "broken");
  const auto again = run_program({"train", "--resume", "--out", path("broken"), "--procs", "2"});
  EXPECT_EQ(again.exit_code, 0) << again.err;
  const auto taken = run_program(training("broken", {"--procs", "2"}));
  EXPECT_EQ(taken.exit_code, 2);
  EXPECT_THAT(error_line(taken), HasSubstr("holds a run already"));
}

TEST_F(TrainingOnProcs, AnInterruptStopsAllAfterTheSameStep) {
  ProgramOptions options;
  options.interrupt_when = [&](pid_t) {
    return bytes_of(dir_ / "run" / "log.jsonl").find("\"step\":5,") != std::string::npos;
  };
  const auto result = run_program(training("run", {"--procs", "2", "--set", "train.steps=100000", "--set",
                                                   "train.log_every=1", "--set", "train.grid_every=0"}),
                                  options);
  EXPECT_EQ(result.exit_code, 130) << result.err;
  EXPECT_THAT(error_line(result), HasSubstr("interrupted after step"));
  EXPECT_THAT(error_line(result), HasSubstr("the state is saved in"));
  EXPECT_GE(json_of(dir_ / "run" / "checkpoint.json")["step"], 5);
}

TEST_F(TrainingOnProcs, ALimitOnTheLossIsKeptByAllAlsoOnResuming) {
  const Arguments limit = {"--set", "train.diverged_factor=50", "--set", "train.log_every=0"};
  auto first = limit;
  first.insert(first.end(), {"--set", "train.steps=110", "--procs", "2"});
  done(training("run", first));
  done({"train", "--resume", "--out", path("run"), "--set", "train.steps=130", "--procs", "2"});
  EXPECT_EQ(json_of(dir_ / "run" / "run.json")["step"], 130);
  const auto wild = run_program(
      training("wild", {"--procs", "2", "--set", "train.steps=2000", "--set", "train.learning_rate=1e4",
                        "--set", "train.clip_norm=0", "--set", "train.grid_every=0"}));
  EXPECT_EQ(wild.exit_code, 5) << wild.err;
  EXPECT_THAT(error_line(wild), HasSubstr("training diverged at step"));
}

TEST_F(ProcsTest, WhatFailsOnAllIsToldOnce) {
  const auto result =
      run_program({"fid", "--real", "gaussian-noise:28x28x1?num=4", "--fake", "gaussian-noise:28x28x1?num=4",
                   "--features", "fashion-mnist-small", "--procs", "3", "--device", "cuda:63"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(std::ranges::count(result.err, '\n'), 1) << result.err;
}

TEST_F(TrainingOnProcs, AProcessThatIsKilledLeavesTheRunSaved) {
  const Arguments many = {"--set", "train.steps=100000",       "--set", "train.log_every=1",
                          "--set", "train.checkpoint_every=0", "--set", "train.grid_every=0"};
  auto three = many;
  three.insert(three.end(), {"--procs", "3"});
  ProgramOptions options;
  options.interrupt_when = [&, sent = false](pid_t parent) mutable {
    const auto children = children_of(parent);
    if (!sent && bytes_of(dir_ / "run" / "log.jsonl").find("\"step\":5,") != std::string::npos &&
        children.size() == 3) {
      sent = ::kill(children[1], SIGKILL) == 0;
    }
    return false;
  };
  const auto result = run_program(training("run", three), options);
  EXPECT_EQ(result.exit_code, 7) << result.err;
  EXPECT_THAT(error_line(result), HasSubstr("rank 1 on "));
  EXPECT_THAT(error_line(result), HasSubstr("is saved in"));
  const auto step = json_of(dir_ / "run" / "checkpoint.json")["step"].get<int64_t>();
  EXPECT_GE(step, 5);
  const auto more = "train.steps=" + std::to_string(step + 3);
  done({"train", "--resume", "--out", path("run"), "--procs", "2", "--set", more});
  EXPECT_EQ(json_of(dir_ / "run" / "run.json")["step"], step + 3);
}

TEST_F(ProcsTest, OnlyOneProcessSpeaks) {
  const auto result = run_program({"fid", "--real", "gaussian-noise:28x28x1?num=40", "--fake",
                                   "gaussian-noise:28x28x1?num=40&seed=1", "--features",
                                   "fashion-mnist-small", "--procs", "2"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const auto alone =
      run_program({"fid", "--real", "gaussian-noise:28x28x1?num=40", "--fake",
                   "gaussian-noise:28x28x1?num=40&seed=1", "--features", "fashion-mnist-small"});
  EXPECT_EQ(result.out, alone.out);
  EXPECT_EQ(std::ranges::count(result.err, '\n'), std::ranges::count(alone.err, '\n')) << result.err;
  const auto missing = run_program({"fid", "--real", path("none.zip"), "--fake", path("none.zip"),
                                    "--features", "fashion-mnist-small", "--procs", "3"});
  EXPECT_EQ(missing.exit_code, 3);
  EXPECT_THAT(error_line(missing), HasSubstr("none.zip"));
  EXPECT_EQ(std::ranges::count(missing.err, '\n'), 1) << missing.err;
}

TEST_F(ProcsTest, WhatCannotBeSharedIsRefused) {
  refused(2, {"info", "--procs", "2"}, "--procs 2: this command is the work of one process");
  for (const std::string wrong : {"0", "-1", "1025"}) {
    refused(2, {"info", "--procs", wrong}, "--procs " + wrong + ": expected a number from 1 to 1024");
  }
  ProgramOptions launched;
  launched.environment = {"RANK=0", "WORLD_SIZE=3", "MASTER_ADDR=127.0.0.1", "MASTER_PORT=1"};
  const Arguments score = {"fid",
                           "--real",
                           "gaussian-noise:28x28x1?num=4",
                           "--fake",
                           "gaussian-noise:28x28x1?num=4",
                           "--features",
                           "fashion-mnist-small"};
  auto two = score;
  two.insert(two.end(), {"--procs", "2"});
  const auto other = run_program(two, launched);
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(error_line(other), HasSubstr("the environment tells of 3 processes"));
  auto one = score;
  one.insert(one.end(), {"--procs", "1"});
  EXPECT_EQ(run_program(one, launched).exit_code, 0) << "alone, whatever the environment says";
  launched.environment.push_back("DDPM_EVAL_PATIENCE=soon");
  EXPECT_THAT(error_line(run_program(score, launched)), HasSubstr("DDPM_EVAL_PATIENCE=soon: expected"));
}

/// Runs until `folder` has a sample, and sends `signal` to the process of that rank then.
testing::ProgramResult struck(const std::vector<std::string>& arguments, const fs::path& folder, size_t rank,
                              int signal) {
  ProgramOptions options;
  options.interrupt_when = [&, sent = false](pid_t parent) mutable {
    const auto children = children_of(parent);
    if (!sent && fs::exists(folder / "000000.png") && children.size() > rank) {
      sent = ::kill(children[rank], signal) == 0;
    }
    return false;
  };
  return run_program(arguments, options);
}

TEST_F(SlowProcsTest, AProcessThatIsKilledIsNamedAndTheRestCanBeDrawn) {
  train("run", kTinyImages);
  done(sampling("all", 1500, {}));
  const auto result = struck(sampling("broken", 1500, {"--procs", "3"}), dir_ / "broken", 2, SIGKILL);
  EXPECT_EQ(result.exit_code, 7) << result.err;
  EXPECT_THAT(error_line(result), HasSubstr("rank 2 on "));
  EXPECT_THAT(error_line(result), HasSubstr("is gone: it was killed"));
  EXPECT_FALSE(fs::exists(dir_ / "broken" / "001499.png"));
  done(sampling("broken", 1500, {"--procs", "2"}));
  EXPECT_EQ(images_of("broken"), images_of("all"));
}

TEST_F(ProcsTest, AFirstProcessThatIsKilledIsTold) {
  train("run", kTinyImages);
  const auto result = struck(sampling("broken", 1500, {"--procs", "2"}), dir_ / "broken", 0, SIGKILL);
  EXPECT_EQ(result.exit_code, 7) << result.err;
  EXPECT_THAT(error_line(result), HasSubstr("rank 0 was killed by signal 9"));
}

TEST_F(SlowProcsTest, AnInterruptReachesAllAndTheSameCommandGoesOn) {
  train("run", kTinyImages);
  done(sampling("all", 1500, {}));
  ProgramOptions options;
  options.interrupt_once_there = dir_ / "broken" / "000000.png";
  const auto result = run_program(sampling("broken", 1500, {"--procs", "2"}), options);
  EXPECT_EQ(result.exit_code, 130) << result.err;
  EXPECT_THAT(error_line(result), HasSubstr("interrupted after"));
  done(sampling("broken", 1500, {}));
  EXPECT_EQ(images_of("broken"), images_of("all"));
}

// As torchrun starts them, on two addresses of the loopback.
TEST_F(ProcsTest, ProcessesOfALauncherMeet) {
  train("run", kTinyImages);
  done(sampling("one", 30, {}));
  std::vector<testing::ProgramResult> results(4);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 4; ++rank) {
    threads.emplace_back([&, rank] {
      ProgramOptions options;
      options.environment = {"RANK=" + std::to_string(rank),
                             "WORLD_SIZE=4",
                             "LOCAL_RANK=" + std::to_string(rank / 2),
                             "LOCAL_WORLD_SIZE=2",
                             "MASTER_ADDR=127.0.0.1",
                             "MASTER_PORT=" + std::to_string(20'000 + ::getpid() % 9000),
                             "DDPM_EVAL_ADDRESS=127.0.0." + std::to_string(1 + rank % 2)};
      results[static_cast<size_t>(rank)] = run_program(sampling("four", 30, {}), options);
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  for (const auto& result : results) {
    EXPECT_EQ(result.exit_code, 0) << result.err;
  }
  EXPECT_THAT(results[0].out, HasSubstr("30 samples"));
  EXPECT_EQ(results[3].out, "");
  EXPECT_EQ(results[3].err, "");
  EXPECT_EQ(images_of("four"), images_of("one"));
}

}  // namespace
}  // namespace ddpm_eval
