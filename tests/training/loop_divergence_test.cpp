#include "base/core/file_io.h"
#include "base/core/record.h"
#include "base/training/loop.h"
#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"
#include "tests/training/toy_tasks.h"

#include <cmath>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::training {
namespace {

using ::testing::AllOf;
using testing::checkpoint_bytes;
using ::testing::HasSubstr;
using testing::LinearTask;
using testing::log_without_timings;
using testing::message_of;
using testing::TempDir;
using testing::toy_config;
using testing::train;

TEST(LoopDivergence, NonFiniteLossStopsBeforeTheUpdate) {
  const TempDir folder;
  LinearTask task;
  task.bend = [](int64_t step, const at::Tensor& loss) { return step == 7 ? loss * NAN : loss; };
  const auto message = message_of<core::DivergedError>([&] { train(task, toy_config(20), folder.path()); });
  EXPECT_THAT(message, AllOf(HasSubstr("step 8"), HasSubstr("the loss is nan"), HasSubstr("learning_rate"),
                             HasSubstr(folder.path().string())));
  EXPECT_THAT(core::read_text(folder / "log.jsonl"),
              HasSubstr("{\"step\":8,\"event\":\"diverged\",\"reason\":\"loss\",\"loss\":\"nan\""));
  const auto record = core::read_record(folder / "divergence.json");
  EXPECT_EQ(record["kind"], "divergence");
  EXPECT_EQ(record["step"], 8);
  EXPECT_EQ(record["first_step"], 8);
  EXPECT_EQ(record["reason"], "loss");
  EXPECT_EQ(record["loss"], "nan");
  EXPECT_EQ(record["grad_norm"], "nan");
  EXPECT_EQ(record["learning_rate"], 1e-2);
  EXPECT_GT(record["loss_before"].get<double>(), 0);
  EXPECT_EQ(record["checkpoint_step"], 5);
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
  EXPECT_FALSE(std::filesystem::exists(folder / "divergence.json")) << "of a start that is over";
}

TEST(LoopDivergence, WeightsThatAreNotFiniteReplaceNoGoodState) {
  const TempDir folder;
  LinearTask task;
  auto config = toy_config(10);
  train(task, toy_config(5), folder.path());
  config.checkpoint_every = 0;
  LinearTask broken;
  LoopHooks hooks;
  hooks.on_step = [&](TrainState const& state, double) {
    if (state.step == 10) {
      state.parameters[0].tensor.detach().fill_(INFINITY);
    }
  };
  const auto message = message_of<core::DivergedError>([&] { train(broken, config, folder.path(), hooks); });
  EXPECT_THAT(message, AllOf(HasSubstr("diverged at step 10: it left weights that are not finite"),
                             HasSubstr("the last good state, of step 5")));
  const auto record = core::read_record(folder / "divergence.json");
  EXPECT_EQ(record["step"], 10);
  EXPECT_EQ(record["reason"], "weights");
  EXPECT_EQ(record["checkpoint_step"], 5);
  EXPECT_EQ(load_model_weights(folder.path()).step, 5);
}

TEST(LoopDivergence, WeightsThatAreNotFiniteAreToldAlikeWhereNoCheckpointWasDue) {
  const TempDir folder;
  LinearTask task;
  auto config = toy_config(10);
  config.checkpoint_every = 0;
  LoopHooks hooks;
  hooks.on_step = [&](TrainState const& state, double) {
    if (state.step == 7) {
      state.parameters[0].tensor.detach().fill_(INFINITY);
    }
  };
  const auto message = message_of<core::DivergedError>([&] { train(task, config, folder.path(), hooks); });
  EXPECT_THAT(message, HasSubstr("diverged at step 7: it left weights that are not finite"));
}

TEST(LoopDivergence, NonFiniteGradientStopsToo) {
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

TEST(LoopDivergence, AGradientThatIsNotFiniteIsRecorded) {
  const TempDir folder;
  LinearTask task;
  task.bend = [](int64_t step, const at::Tensor& loss) {
    return step == 0 ? (loss - loss.detach()).sqrt() : loss;
  };
  EXPECT_THAT(message_of<core::DivergedError>([&] { train(task, toy_config(5), folder.path()); }),
              HasSubstr("no checkpoint had been written"));
  const auto record = core::read_record(folder / "divergence.json");
  EXPECT_EQ(record["step"], 1);
  EXPECT_EQ(record["reason"], "gradient");
  EXPECT_EQ(record["loss"], 0.0);
  EXPECT_TRUE(record["grad_norm"].is_string());
  EXPECT_TRUE(record["loss_before"].is_null());
  EXPECT_TRUE(record["checkpoint_step"].is_null());
}

/// Ten times the loss from step 130 on; 108 alone is not enough.
at::Tensor leave_course(int64_t step, const at::Tensor& loss) {
  const auto level = loss * 0 + 1.0;
  return step >= 130 || step == 108 ? level * 10 : level;
}

TEST(LoopDivergence, AFiniteLossThatStaysAboveItsLimitIsDivergence) {
  LoopConfig config = toy_config(200);
  config.diverged_factor = 5;
  config.diverged_steps = 6;
  const TempDir unbroken;
  const TempDir broken;
  const auto end_of = [&](const TempDir& folder, int64_t steps) {
    LinearTask task;
    task.bend = leave_course;
    config.steps = steps;
    train(task, config, folder.path());
  };
  EXPECT_THAT(
      message_of<core::DivergedError>([&] { end_of(unbroken, 200); }),
      AllOf(HasSubstr("step 136"), HasSubstr("the loss of 10 is above 5 times its running median of 1 "),
            HasSubstr("for 6 steps"), HasSubstr("step 135")));
  const auto record = core::read_record(unbroken / "divergence.json");
  EXPECT_EQ(record["reason"], "limit");
  EXPECT_EQ(record["step"], 136);
  EXPECT_EQ(record["first_step"], 131);
  // What the limit follows survives a resume in the middle of the six.
  end_of(broken, 133);
  EXPECT_THAT(message_of<core::DivergedError>([&] { end_of(broken, 200); }), HasSubstr("step 136"));
  EXPECT_EQ(core::read_record(broken / "divergence.json")["first_step"], 131);
  config.diverged_factor = 0;
  const TempDir without;
  end_of(without, 200);
}

}  // namespace
}  // namespace ddpm_eval::training
