#include "base/training/loop.h"

#include "base/core/file_io.h"
#include "base/core/interrupt.h"
#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tensor_matchers.h"
#include "tests/training/toy_tasks.h"

#include <cmath>

#include <gtest/gtest.h>

namespace ddpm_eval::training {
namespace {

using ::testing::AllOf;
using testing::checkpoint_bytes;
using testing::ConvTask;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::LinearTask;
using testing::log_without_timings;
using testing::message_of;
using ::testing::Not;
using testing::TempDir;
using testing::TensorNear;
using testing::toy_config;
using testing::train;

TEST(Loop, FindsTheLine) {
  LinearTask task;
  LoopConfig config = toy_config(400);
  config.learning_rate = 5e-2;
  config.clip_norm = 0;
  TrainState state = new_state(task, config);
  const LoopReport report = run_loop(task, config, {}, state);
  EXPECT_EQ(report.steps_done, 400);
  EXPECT_FALSE(report.stopped_by_time);
  EXPECT_GT(report.images_per_second, 0);
  EXPECT_LT(report.last_loss, 1e-4);
  EXPECT_THAT(task.parameters()[0].tensor.detach(), TensorNear(torch::tensor({2.0F, -3.0F}), 1e-2));
  EXPECT_THAT(state.ema.parameters()[0].tensor, TensorNear(torch::tensor({2.0F, -3.0F}), 2e-2));
}

TEST(Loop, WarmUpLeavesTheFirstStepWithoutEffect) {
  LinearTask task;
  TrainState state = new_state(task, toy_config(1));
  run_loop(task, toy_config(1), {}, state);
  EXPECT_THAT(task.parameters()[0].tensor.detach(), TensorNear(torch::zeros({2}), 0));
}

TEST(Loop, ResumedEqualsUnbrokenBitForBit) {
  const TempDir unbroken;
  const TempDir broken;
  ConvTask whole;
  train(whole, toy_config(16), unbroken.path());
  // Ends of the parts fall neither on log lines nor all on checkpoints.
  for (const int64_t steps : {4, 8, 11, 16}) {
    ConvTask part;
    train(part, toy_config(steps), broken.path());
  }
  EXPECT_EQ(checkpoint_bytes(broken.path()), checkpoint_bytes(unbroken.path()));
  EXPECT_EQ(log_without_timings(broken.path()), log_without_timings(unbroken.path()));
  EXPECT_EQ(core::read_text(broken / "checkpoint.json"), core::read_text(unbroken / "checkpoint.json"));
}

TEST(Loop, LogLinesAreMeansSinceTheLineBefore) {
  const TempDir folder;
  LinearTask task;
  std::vector<double> losses;
  std::vector<LogLine> lines;
  LoopHooks hooks;
  hooks.on_step = [&](const TrainState&, double loss) { losses.push_back(loss); };
  hooks.on_log = [&](const LogLine& line) { lines.push_back(line); };
  train(task, toy_config(7), folder.path(), hooks);
  ASSERT_EQ(losses.size(), 7U);
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[1].step, 6);
  EXPECT_DOUBLE_EQ(lines[1].loss, (losses[3] + losses[4] + losses[5]) / 3);
  EXPECT_DOUBLE_EQ(lines[0].entries.at("even"), 1);  // steps 0 and 2
  EXPECT_DOUBLE_EQ(lines[1].entries.at("even"), 4);
  EXPECT_EQ(lines[0].clipped_share, 1);
  EXPECT_GT(lines[0].grad_norm, 0.8);
  EXPECT_DOUBLE_EQ(lines[0].learning_rate, 5e-3);  // step 2 of a warm-up of 4
  EXPECT_EQ(lines[1].learning_rate, 1e-2);
  EXPECT_THAT(log_without_timings(folder.path()),
              AllOf(HasSubstr("{\"step\":3,"), HasSubstr("{\"step\":6,")));
}

TEST(Loop, CheckpointsWhenDueAndAtTheEnd) {
  const TempDir folder;
  LinearTask task;
  std::vector<int64_t> saved;
  LoopHooks hooks;
  hooks.on_checkpoint = [&](const TrainState& state) { saved.push_back(state.step); };
  train(task, toy_config(12), folder.path(), hooks);
  EXPECT_THAT(saved, ElementsAre(5, 10, 12));
}

TEST(Loop, NothingIsWrittenWithoutAFolder) {
  LinearTask task;
  int64_t saves = 0;
  int64_t lines = 0;
  LoopHooks hooks;
  hooks.on_checkpoint = [&](const TrainState&) { ++saves; };
  hooks.on_log = [&](const LogLine&) { ++lines; };
  TrainState state = new_state(task, toy_config(6));
  run_loop(task, toy_config(6), {}, state, hooks);
  EXPECT_EQ(saves, 0);
  EXPECT_EQ(lines, 2);
}

TEST(Loop, FinishedRunsHaveNothingToDo) {
  const TempDir folder;
  LinearTask task;
  train(task, toy_config(6), folder.path());
  const std::string before = checkpoint_bytes(folder.path());
  EXPECT_EQ(train(task, toy_config(6), folder.path()).steps_done, 0);
  EXPECT_EQ(checkpoint_bytes(folder.path()), before);
  EXPECT_THAT(message_of<core::UsageError>([&] { train(task, toy_config(5), folder.path()); }),
              AllOf(HasSubstr("6 steps"), HasSubstr("steps = 5")));
}

TEST(Loop, NonFiniteLossStopsBeforeTheUpdate) {
  const TempDir folder;
  LinearTask task;
  task.bend = [](int64_t step, const at::Tensor& loss) { return step == 7 ? loss * NAN : loss; };
  const auto message = message_of<core::DivergedError>([&] { train(task, toy_config(20), folder.path()); });
  EXPECT_THAT(message, AllOf(HasSubstr("step 8"), HasSubstr("the loss is nan"), HasSubstr("learning_rate"),
                             HasSubstr(folder.path().string())));
  EXPECT_THAT(core::read_text(folder / "log.jsonl"),
              HasSubstr("{\"step\":8,\"event\":\"diverged\",\"loss\":\"nan\""));
  EXPECT_EQ(load_model_weights(folder.path()).step, 5);
  EXPECT_TRUE(task.parameters()[0].tensor.isfinite().all().item<bool>());

  // Mended, the run goes on as if nothing had happened.
  const TempDir good;
  LinearTask mended;
  train(mended, toy_config(20), folder.path());
  LinearTask healthy;
  train(healthy, toy_config(20), good.path());
  EXPECT_EQ(checkpoint_bytes(folder.path()), checkpoint_bytes(good.path()));
  EXPECT_EQ(log_without_timings(folder.path()), log_without_timings(good.path()));
}

TEST(Loop, NonFiniteGradientStopsToo) {
  LinearTask task;
  // Finite in value, infinite in slope: sqrt at 0.
  task.bend = [](int64_t step, const at::Tensor& loss) {
    return step == 2 ? (loss - loss.detach()).sqrt() : loss;
  };
  TrainState state = new_state(task, toy_config(5));
  const auto message = message_of<core::DivergedError>([&] { run_loop(task, toy_config(5), {}, state); });
  EXPECT_THAT(message,
              AllOf(HasSubstr("step 3"), HasSubstr("gradient norm is"), HasSubstr("nothing was saved")));
  EXPECT_TRUE(task.parameters()[0].tensor.isfinite().all().item<bool>());
}

TEST(Loop, InterruptSavesAndSaysHowToGoOn) {
  const TempDir folder;
  const TempDir unbroken;
  LinearTask task;
  LoopHooks hooks;
  hooks.on_step = [&](const TrainState& state, double) { core::request_interrupt(state.step == 7); };
  const auto message =
      message_of<core::InterruptedError>([&] { train(task, toy_config(11), folder.path(), hooks); });
  core::request_interrupt(false);
  EXPECT_THAT(message,
              AllOf(HasSubstr("step 7 of 11"), HasSubstr("--resume"), HasSubstr(folder.path().string())));
  EXPECT_EQ(load_ema_weights(folder.path()).step, 7);
  LinearTask rest;
  train(rest, toy_config(11), folder.path());
  LinearTask whole;
  train(whole, toy_config(11), unbroken.path());
  EXPECT_EQ(checkpoint_bytes(folder.path()), checkpoint_bytes(unbroken.path()));
  EXPECT_EQ(log_without_timings(folder.path()), log_without_timings(unbroken.path()));
}

TEST(Loop, InterruptInsideAHookSavesToo) {
  const TempDir folder;
  LinearTask task;
  LoopHooks hooks;
  hooks.on_step = [&](const TrainState& state, double) {
    if (state.step == 4) {
      throw core::InterruptedError("sampling stopped");
    }
  };
  EXPECT_THAT(message_of<core::InterruptedError>([&] { train(task, toy_config(11), folder.path(), hooks); }),
              HasSubstr("step 4 of 11"));
  EXPECT_EQ(load_ema_weights(folder.path()).step, 4);
}

TEST(Loop, AnInterruptAtTheLastStepCountsOnlyInsideAHook) {
  const TempDir folder;
  LinearTask task;
  LoopHooks hooks;
  hooks.on_step = [&](const TrainState& state, double) { core::request_interrupt(state.step == 11); };
  EXPECT_EQ(train(task, toy_config(11), folder / "done", hooks).steps_done, 11);
  core::request_interrupt(false);
  LinearTask again;
  hooks.on_step = [](const TrainState& state, double) {
    if (state.step == 11) {
      throw core::InterruptedError("sampling stopped");
    }
  };
  EXPECT_THAT(
      message_of<core::InterruptedError>([&] { train(again, toy_config(11), folder / "owed", hooks); }),
      HasSubstr("step 11 of 11"));
  EXPECT_EQ(checkpoint_bytes(folder / "owed"), checkpoint_bytes(folder / "done"));
}

TEST(Loop, TimeLimitEndsAtAStepAndCanBeResumed) {
  const TempDir folder;
  LinearTask task;
  LoopConfig config = toy_config(6);
  config.time_limit_s = 1e-9;
  const LoopReport report = train(task, config, folder.path());
  EXPECT_TRUE(report.stopped_by_time);
  EXPECT_EQ(report.steps_done, 1);
  EXPECT_EQ(load_ema_weights(folder.path()).step, 1);
  const LoopReport rest = train(task, toy_config(6), folder.path());
  EXPECT_EQ(rest.steps_done, 5);
  EXPECT_FALSE(rest.stopped_by_time);
}

TEST(Loop, FolderThatCannotBeMade) {
  const TempDir folder;
  core::write_file(folder / "run", "a file in the way");
  LinearTask task;
  EXPECT_THAT(message_of<core::ResourceError>([&] { train(task, toy_config(5), folder / "run"); }),
              HasSubstr((folder / "run").string()));
}

TEST(Loop, BadConfigurationIsRefused) {
  LinearTask task;
  LoopConfig config = toy_config(5);
  TrainState state = new_state(task, config);
  config.learning_rate = -1;
  EXPECT_THAT(message_of<core::UsageError>([&] { run_loop(task, config, {}, state); }),
              HasSubstr("learning_rate"));
}

TEST(Loop, LossWithoutAGraphIsABug) {
  LinearTask task;
  task.bend = [](int64_t, const at::Tensor& loss) { return loss.detach(); };
  TrainState state = new_state(task, toy_config(5));
  EXPECT_THROW(run_loop(task, toy_config(5), {}, state), core::LogicError);
}

}  // namespace
}  // namespace ddpm_eval::training
