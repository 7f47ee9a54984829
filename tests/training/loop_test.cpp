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
using testing::SplitTask;
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
  EXPECT_GT(lines[0].seconds_left, 0);
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

TEST(Loop, AccumulatedStepsEqualWholeOnes) {
  const auto run = [](int64_t parts, SplitTask& task, std::vector<LogLine>& lines) {
    LoopConfig config = toy_config(30);
    config.accumulate = parts;
    LoopHooks hooks;
    hooks.on_log = [&](const LogLine& line) { lines.push_back(line); };
    TrainState state = new_state(task, config);
    run_loop(task, config, {}, state, hooks);
    return state;
  };
  SplitTask whole;
  std::vector<LogLine> whole_lines;
  const auto whole_state = run(1, whole, whole_lines);
  for (const int64_t parts : {2, 3, 12}) {
    SplitTask split;
    std::vector<LogLine> lines;
    const auto state = run(parts, split, lines);
    ASSERT_EQ(split.parts.size(), static_cast<size_t>(30 * parts));
    EXPECT_EQ(split.parts[1], std::pair(12 / parts, 24 / parts));
    for (const size_t i : {0U, 1U}) {
      EXPECT_THAT(state.parameters[i].tensor.detach(),
                  TensorNear(whole_state.parameters[i].tensor.detach(), 1e-13));
      EXPECT_THAT(state.ema.parameters()[i].tensor,
                  TensorNear(whole_state.ema.parameters()[i].tensor, 1e-13));
    }
    ASSERT_EQ(lines.size(), whole_lines.size());
    EXPECT_NEAR(lines.back().loss, whole_lines.back().loss, 1e-13);
    EXPECT_NEAR(lines.back().grad_norm, whole_lines.back().grad_norm, 1e-13);
    EXPECT_NEAR(lines.back().entries.at("mean"), whole_lines.back().loss, 1e-13);
  }
}

TEST(Loop, AccumulatedRunsResumeBitForBit) {
  LoopConfig config = toy_config(16);
  config.accumulate = 3;
  const TempDir unbroken;
  const TempDir broken;
  SplitTask whole;
  train(whole, config, unbroken.path());
  SplitTask first;
  config.steps = 7;
  train(first, config, broken.path());
  SplitTask rest;
  config.steps = 16;
  train(rest, config, broken.path());
  EXPECT_EQ(checkpoint_bytes(broken.path()), checkpoint_bytes(unbroken.path()));
  EXPECT_EQ(log_without_timings(broken.path()), log_without_timings(unbroken.path()));
}

TEST(Loop, BatchesThatCannotBeSplitAreRefused) {
  LoopConfig config = toy_config(5);
  config.accumulate = 5;
  SplitTask split;
  TrainState state = new_state(split, config);
  EXPECT_THAT(message_of<core::UsageError>([&] { run_loop(split, config, {}, state); }),
              HasSubstr("accumulate: 5 does not divide the batch size of 12"));
  config.accumulate = 2;
  ConvTask normed;  // batch norm
  TrainState other = new_state(normed, config);
  EXPECT_THAT(message_of<core::UsageError>([&] { run_loop(normed, config, {}, other); }),
              HasSubstr("depend on one another"));
  StepLog log;
  EXPECT_THROW(normed.part_of_loss(0, {0, 3}), core::LogicError);
  EXPECT_THROW(normed.end_of_parts(0, {0, 3}, log), core::LogicError);
}

TEST(Loop, HooksMaySaveAndSayWhatToCompareWith) {
  const TempDir folder;
  LinearTask task;
  std::vector<int64_t> saved;
  LoopHooks hooks;
  hooks.save_after = [](int64_t step) { return step % 4 == 0; };
  hooks.on_checkpoint = [&](const TrainState& state) {
    EXPECT_EQ(load_ema_weights(folder.path()).step, state.step);
    saved.push_back(state.step);
    if (state.step == 12) {
      throw core::InterruptedError("scoring stopped");
    }
  };
  hooks.reference = [](int64_t step) { return StepLog{{"expected", 100.0 * static_cast<double>(step)}}; };
  EXPECT_THAT(message_of<core::InterruptedError>([&] { train(task, toy_config(20), folder.path(), hooks); }),
              HasSubstr("step 12 of 20"));
  EXPECT_THAT(saved, ElementsAre(4, 5, 8, 10, 12));
  EXPECT_THAT(log_without_timings(folder.path()), HasSubstr("\"expected\":900.0"));
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
