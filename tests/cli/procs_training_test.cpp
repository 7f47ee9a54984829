#include "base/data/safetensors.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/procs_fixture.h"
#include "tests/support/resetting_proxy.h"
#include "tests/support/small_unet_fixture.h"

#include <algorithm>
#include <atomic>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <signal.h>

// Training on several processes: the weights of one, and a run that is saved where one is lost.
namespace ddpm_eval {
namespace {

namespace fs = std::filesystem;

using testing::bytes_of;
using testing::error_line;
using ::testing::HasSubstr;
using testing::json_of;
using testing::ProgramOptions;
using testing::run_launched;
using testing::run_program;

class TrainingOnProcs : public testing::ProcsTest {
 protected:
  TrainingOnProcs() { testing::put_file(dir_ / "c.toml", testing::kSmallUNet); }

  Arguments training(const std::string& run, const Arguments& more) const {
    return joined({"train", "--config", path("c.toml"), "--out", path(run)}, more);
  }

  /// Whether the training into "run" has come to its fifth step.
  bool is_at_step_five() const {
    return bytes_of(dir_ / "run" / "log.jsonl").find("\"step\":5,") != std::string::npos;
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

class SlowTrainingOnProcs : public TrainingOnProcs {};

// A batch of 4 for 2 processes, for 3 with a remainder, and for 5 of which one has nothing.
TEST_F(TrainingOnProcs, TwentyStepsAreThoseOfOneProcess) {
  const Arguments twenty = {"--set", "train.steps=20"};
  done(training("one", twenty));
  for (const std::string procs : {"2", "3", "5"}) {
    done(training("on" + procs, joined(twenty, {"--procs", procs})));
    same_weights("one", "on" + procs);
    const auto record = json_of(dir_ / ("on" + procs) / "run.json");
    EXPECT_EQ(record["runtime"]["processes"], std::stoi(procs));
    EXPECT_EQ(record["step"], 20);
    EXPECT_TRUE(fs::exists(dir_ / ("on" + procs) / "log.jsonl"));
  }
  done(training("parts", joined(twenty, {"--procs", "2", "--set", "train.accumulate=4"})));
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
  options.interrupt_when = [&](pid_t) { return is_at_step_five(); };
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
  done(training("run", joined(limit, {"--set", "train.steps=110", "--procs", "2"})));
  done({"train", "--resume", "--out", path("run"), "--set", "train.steps=130", "--procs", "2"});
  EXPECT_EQ(json_of(dir_ / "run" / "run.json")["step"], 130);
  const auto wild = run_program(
      training("wild", {"--procs", "2", "--set", "train.steps=2000", "--set", "train.learning_rate=1e4",
                        "--set", "train.clip_norm=0", "--set", "train.grid_every=0"}));
  EXPECT_EQ(wild.exit_code, 5) << wild.err;
  EXPECT_THAT(error_line(wild), HasSubstr("training diverged at step"));
}

TEST_F(TrainingOnProcs, AProcessThatIsKilledLeavesTheRunSaved) {
  const Arguments many = {"--set", "train.steps=100000",       "--set", "train.log_every=1",
                          "--set", "train.checkpoint_every=0", "--set", "train.grid_every=0"};
  const auto result =
      killed(training("run", joined(many, {"--procs", "3"})), 1, [&] { return is_at_step_five(); });
  EXPECT_EQ(result.exit_code, 7) << result.err;
  EXPECT_THAT(error_line(result), HasSubstr("rank 1 on "));
  EXPECT_THAT(error_line(result), HasSubstr("is saved in"));
  const auto step = json_of(dir_ / "run" / "checkpoint.json")["step"].get<int64_t>();
  EXPECT_GE(step, 5);
  const auto more = "train.steps=" + std::to_string(step + 3);
  done({"train", "--resume", "--out", path("run"), "--procs", "2", "--set", more});
  EXPECT_EQ(json_of(dir_ / "run" / "run.json")["step"], step + 3);
}

TEST_F(TrainingOnProcs, WhatTheFirstHasSavedIsGoneOnWithAfterItsDeath) {
  const Arguments often = {"--set", "train.log_every=1", "--set", "train.checkpoint_every=1",
                           "--set", "train.grid_every=0"};
  const auto result = killed(training("run", joined(often, {"--procs", "3", "--set", "train.steps=100000"})),
                             0, [&] { return is_at_step_five(); });
  EXPECT_EQ(result.exit_code, 7) << result.err;
  EXPECT_THAT(error_line(result), HasSubstr("rank 0 was killed by signal 9"));
  const int64_t saved = json_of(dir_ / "run" / "checkpoint.json")["step"];
  EXPECT_GE(saved, 4);
  const Arguments steps = {"--set", "train.steps=" + std::to_string(saved + 3)};
  done(training("run", joined(joined(often, steps), {"--resume", "--procs", "2"})));
  done(training("one", joined(often, steps)));
  same_weights("one", "run");
}

/// Who asks a stopped process waits; nobody has an answer to wait for after a minute.
TEST_F(SlowTrainingOnProcs, AFirstProcessThatIsStoppedIsNamed) {
  std::atomic<pid_t> other{0};
  const auto results = run_launched(
      2, training("run", {"--set", "train.steps=100000", "--set", "train.log_every=1"}), [&](int rank) {
        ProgramOptions options;
        if (rank == 1) {
          options.interrupt_when = [&](pid_t self) {
            other = self;
            return false;
          };
          return options;
        }
        options.interrupt_when = [&, stopped = false](pid_t self) mutable {
          if (!stopped && is_at_step_five()) {
            stopped = ::kill(self, SIGSTOP) == 0;
          }
          if (stopped && other != 0 && ::kill(other, 0) != 0) {
            ::kill(self, SIGKILL);
          }
          return false;
        };
        return options;
      });
  EXPECT_EQ(results[0].exit_code, 128 + SIGKILL);
  EXPECT_EQ(results[1].exit_code, 7) << results[1].err;
  EXPECT_THAT(error_line(results[1]), HasSubstr("rank 0 on 127.0.0.1 has not been heard of for 60 s"));
}

/// Rank 1 gives it up after a minute, and 40 s later --procs kills it.
TEST_F(SlowTrainingOnProcs, AFirstProcessOfProcsThatIsStoppedIsNamed) {
  ProgramOptions options;
  options.interrupt_when = [&, stopped = false](pid_t parent) mutable {
    const auto children = testing::children_of(parent);
    if (!stopped && !children.empty() && is_at_step_five()) {
      stopped = ::kill(children.front(), SIGSTOP) == 0;
    }
    return false;
  };
  const auto result = run_program(
      training("run", {"--procs", "2", "--set", "train.steps=100000", "--set", "train.log_every=1"}),
      options);
  EXPECT_EQ(result.exit_code, 7) << result.err;
  EXPECT_THAT(error_line(result), HasSubstr("rank 0 was stopped by a signal"));
}

TEST_F(TrainingOnProcs, WithoutRoomForACheckpointAllEndAndGoOnLater) {
  const Arguments often = {"--set", "train.log_every=1", "--set", "train.checkpoint_every=2",
                           "--set", "train.grid_every=0"};
  std::vector<testing::ProgramResult> results;
  {
    const testing::FileSizeLimit limit(20'000);
    results = run_launched(3, training("run", joined(often, {"--set", "train.steps=100000"})));
  }
  for (const auto& result : results) {
    EXPECT_EQ(result.exit_code, 7) << result.err;
  }
  EXPECT_THAT(error_line(results[0]), HasSubstr("run/checkpoint.safetensors: write failed: File too large"));
  const Arguments steps = {"--set", "train.steps=4"};
  done(training("run", joined(joined(often, steps), {"--resume", "--procs", "2"})));
  done(training("one", joined(often, steps)));
  same_weights("one", "run");
}

// As torchrun starts them, on two addresses of the loopback; the weights in the end are those of one process.
TEST_F(TrainingOnProcs, OfFourOfALauncherOneIsKilledAndThreeGoOn) {
  const Arguments often = {"--set", "train.log_every=1", "--set", "train.grid_every=0"};
  const auto results =
      run_launched(4, training("run", joined(often, {"--set", "train.steps=100000"})), [&](int rank) {
        ProgramOptions options;
        if (rank == 2) {
          options.interrupt_when = [&](pid_t own) {
            if (is_at_step_five()) {
              ::kill(own, SIGKILL);
            }
            return false;
          };
        }
        return options;
      });
  for (const size_t rank : {0U, 1U, 3U}) {
    EXPECT_EQ(results[rank].exit_code, 7) << results[rank].err;
  }
  EXPECT_EQ(results[2].exit_code, 128 + SIGKILL);
  EXPECT_THAT(error_line(results[0]), HasSubstr("rank 2 on "));
  EXPECT_THAT(error_line(results[0]), HasSubstr("(127.0.0.1) is gone"));
  EXPECT_THAT(error_line(results[0]), HasSubstr("is saved in"));
  const auto step = json_of(dir_ / "run" / "checkpoint.json")["step"].get<int64_t>();
  EXPECT_GE(step, 5);
  const Arguments until = {"--set", "train.steps=" + std::to_string(step + 10)};
  for (const auto& result : run_launched(3, joined({"train", "--resume", "--out", path("run")}, until))) {
    EXPECT_EQ(result.exit_code, 0) << result.err;
  }
  EXPECT_EQ(json_of(dir_ / "run" / "run.json")["step"], step + 10);
  done(training("one", joined(often, until)));
  same_weights("one", "run");
}

TEST_F(TrainingOnProcs, AConnectionThatIsResetEndsAllWithAReason) {
  testing::ResettingProxy proxy(testing::launched_port());
  const auto results = run_launched(2,
                                    training("run", {"--set", "train.log_every=1", "--set",
                                                     "train.grid_every=0", "--set", "train.steps=100000"}),
                                    [&](int rank) {
                                      ProgramOptions options;
                                      if (rank == 1) {
                                        options.environment = {"MASTER_PORT=" + std::to_string(proxy.port())};
                                        options.interrupt_when = [&](pid_t) {
                                          const auto log = bytes_of(dir_ / "run" / "log.jsonl");
                                          if (log.find("\"step\":5,") != std::string::npos) {
                                            proxy.reset();
                                          }
                                          return false;
                                        };
                                      }
                                      return options;
                                    });
  EXPECT_EQ(results[0].exit_code, 7) << results[0].err;
  EXPECT_THAT(error_line(results[0]), HasSubstr("rank 1 on "));
  EXPECT_THAT(error_line(results[0]), HasSubstr("is saved in"));
  EXPECT_EQ(results[1].exit_code, 7) << results[1].err;
  EXPECT_THAT(error_line(results[1]), HasSubstr("rank 0"));
}

}  // namespace
}  // namespace ddpm_eval
