#include "tests/support/procs_fixture.h"
#include "tests/support/resetting_proxy.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
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
using testing::run_launched;
using testing::run_program;

class ProcsTest : public testing::ProcsTest {
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

  bool has_a_sample(const std::string& folder) const { return fs::exists(dir_ / folder / "000000.png"); }

  Arguments sampling(const std::string& out, int num, const Arguments& more) const {
    return joined({"sample", "--run", path("run"), "--num", std::to_string(num), "--out", path(out)}, more);
  }
};

class SlowProcsTest : public ProcsTest {};

/// The score that is done soonest.
const std::vector<std::string> kScore = {"fid",
                                         "--real",
                                         "gaussian-noise:28x28x1?num=4",
                                         "--fake",
                                         "gaussian-noise:28x28x1?num=4",
                                         "--features",
                                         "fashion-mnist-small"};

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
  done(sampling("two", 2, {}));  // fewer images than processes
  done(sampling("two-on3", 2, {"--procs", "3"}));
  EXPECT_EQ(images_of("two-on3"), images_of("two"));
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
  const Arguments scoring = {"score",
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
    const auto several = record_of(joined(scoring, {"--procs", procs}));
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

TEST_F(ProcsTest, WhatFailsOnAllIsToldOnce) {
  const auto result = run_program(joined(kScore, {"--procs", "3", "--device", "cuda:63"}));
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(std::ranges::count(result.err, '\n'), 1) << result.err;
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
  const auto other = run_program(joined(kScore, {"--procs", "2"}), launched);
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(error_line(other), HasSubstr("the environment tells of 3 processes"));
  EXPECT_EQ(run_program(joined(kScore, {"--procs", "1"}), launched).exit_code, 0)
      << "alone, whatever the environment says";
  launched.environment.push_back("DDPM_EVAL_PATIENCE=soon");
  EXPECT_THAT(error_line(run_program(kScore, launched)), HasSubstr("DDPM_EVAL_PATIENCE=soon: expected"));
}

// They begin with it pending: the processes that they start hear of it before they can listen.
TEST_F(ProcsTest, AnInterruptAtTheBeginningIsToldOnce) {
  ProgramOptions options;
  options.interrupted_before_start = true;
  const auto result = run_program(joined(kScore, {"--procs", "3"}), options);
  EXPECT_EQ(result.exit_code, 130) << result.err;
  EXPECT_EQ(error_line(result), "interrupted before anything was done");
  EXPECT_EQ(std::ranges::count(result.err, '\n'), 1) << result.err;
}

TEST_F(SlowProcsTest, AProcessThatIsKilledIsNamedAndTheRestCanBeDrawn) {
  train("run", kTinyImages);
  done(sampling("all", 1500, {}));
  const auto result =
      killed(sampling("broken", 1500, {"--procs", "3"}), 2, [&] { return has_a_sample("broken"); });
  EXPECT_EQ(result.exit_code, 7) << result.err;
  EXPECT_THAT(error_line(result), HasSubstr("rank 2 on "));
  EXPECT_THAT(error_line(result), HasSubstr("is gone: it was killed"));
  EXPECT_FALSE(fs::exists(dir_ / "broken" / "001499.png"));
  done(sampling("broken", 1500, {"--procs", "2"}));
  EXPECT_EQ(images_of("broken"), images_of("all"));
}

TEST_F(ProcsTest, AFirstProcessThatIsKilledIsTold) {
  train("run", kTinyImages);
  const auto result =
      killed(sampling("broken", 1500, {"--procs", "2"}), 0, [&] { return has_a_sample("broken"); });
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
  const auto results = run_launched(4, sampling("four", 30, {}));
  for (const auto& result : results) {
    EXPECT_EQ(result.exit_code, 0) << result.err;
  }
  EXPECT_THAT(results[0].out, HasSubstr("30 samples"));
  EXPECT_EQ(results[3].out, "");
  EXPECT_EQ(results[3].err, "");
  EXPECT_EQ(images_of("four"), images_of("one"));
}

TEST_F(ProcsTest, APortThatIsTakenIsNamed) {
  const testing::ResettingProxy other(1);  // listens, and answers nobody
  ProgramOptions options;
  options.environment = {"RANK=0", "WORLD_SIZE=2", "MASTER_ADDR=127.0.0.1",
                         "MASTER_PORT=" + std::to_string(other.port())};
  const auto result = run_program(kScore, options);
  EXPECT_EQ(result.exit_code, 7) << result.err;
  EXPECT_THAT(error_line(result), HasSubstr("127.0.0.1 port " + std::to_string(other.port()) + ", where"));
  EXPECT_THAT(error_line(result), HasSubstr("is taken by another program"));
}

// Sockets would take their numbers, and what is printed would go to the other processes.
TEST_F(ProcsTest, ClosedStandardStreamsDoNoHarm) {
  train("run", kTinyImages);
  done(sampling("one", 10, {}));
  std::string command = "DDPM_EVAL_CACHE=off DDPM_EVAL_PATIENCE=60 \"$DDPM_EVAL_BINARY\" --threads 1";
  for (const auto& word : sampling("two", 10, {"--procs", "2"})) {
    command += " '" + word + "'";
  }
  const int status = std::system((command + " <&- >&- 2>&-").c_str());
  EXPECT_EQ(WEXITSTATUS(status), 7) << "there is nowhere to print to, as with one process";
  EXPECT_EQ(images_of("two"), images_of("one"));
}

}  // namespace
}  // namespace ddpm_eval
