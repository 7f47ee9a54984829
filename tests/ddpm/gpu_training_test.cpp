#include "base/tensor/gpu_graph.h"
#include "base/tensor/noise.h"
#include "base/training/loop.h"
#include "ddpm/model_factory.h"
#include "tests/support/gpu.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tensor_matchers.h"

#include <cstdlib>

#include <gmock/gmock.h>

namespace ddpm_eval::ddpm {
namespace {

using testing::TensorNear;

constexpr int64_t kSteps = 20;

RunConfig config_of(Loss loss, ModelVariance variance) {
  RunConfig config;
  config.data.source = "fashion-mnist:train";
  config.model.unet = {.base_channels = 16,
                       .multipliers = {1, 2},
                       .res_blocks = 1,
                       .attention_resolutions = {8},
                       .dropout = 0.1,
                       .groups = 4};
  config.process.steps = 50;
  config.process.rescale = true;
  config.objective.loss = loss;
  config.objective.parameterisation.variance = variance;
  config.train.batch_size = 8;
  config.train.loop.steps = kSteps;
  config.train.loop.warmup_steps = 5;
  config.train.loop.learning_rate = 1e-3;
  config.train.loop.ema_decay = 0.9;
  config.train.loop.weight_decay = 0.01;
  config.sample.micro_batch = 4;
  return config;
}

at::Tensor images() {
  const auto noise = tensor::normal_rows({1, "images"}, tensor::index_range(0, 64), 0, {1, 16, 16});
  return (noise.cumsum(2).cumsum(3) * 8 + 128).clamp(0, 255).to(torch::kUInt8);
}

struct Trained {
  std::vector<double> losses;
  tensor::NamedTensors averages;  ///< on the CPU
  at::Tensor samples;
};

Trained train(const RunConfig& config, const std::filesystem::path& folder) {
  auto model = make_model(config, {1, 16, 16});
  const auto task = make_task(config, model, images());
  auto state = training::new_state(*task, config.train.loop);
  Trained trained;
  training::LoopHooks hooks;
  hooks.on_step = [&](const training::TrainState&, double loss) { trained.losses.push_back(loss); };
  training::run_loop(*task, config.train.loop, {folder, core::config_to_json(config)}, state, hooks);
  for (const auto& [name, average] : state.ema.parameters()) {
    trained.averages.push_back({name, average.cpu()});
  }
  const auto loaded = restore_model(training::load_ema_weights(folder), "the checkpoint");
  trained.samples = sample_data(loaded, config.sample, tensor::index_range(0, 6));
  return trained;
}

/// The same steps, losses, weights and samples, from the same noise.
TEST(GpuTraining, FollowsTheCpu) {
  for (const auto& [loss, variance] : {std::pair{Loss::kSimple, ModelVariance::kFixedLarge},
                                       std::pair{Loss::kHybrid, ModelVariance::kLearnedRange}}) {
    const auto config = config_of(loss, variance);
    const testing::TempDir folder;
    Trained there;
    {
      SKIP_WITHOUT_GPU(gpu);
      there = train(config, folder.path() / "gpu");
    }
    const auto here = train(config, folder.path() / "cpu");
    for (size_t i = 0; i < here.losses.size(); ++i) {
      EXPECT_NEAR(there.losses[i], here.losses[i], 1e-4 * std::abs(here.losses[i])) << i;
    }
    ASSERT_EQ(there.averages.size(), here.averages.size());
    for (size_t i = 0; i < here.averages.size(); ++i) {
      // Adam turns a gradient of about zero into a whole step: a tenth of one is allowed.
      EXPECT_THAT(there.averages[i].tensor, TensorNear(here.averages[i].tensor, 1e-4))
          << here.averages[i].name;
    }
    const auto difference = (there.samples.to(torch::kInt32) - here.samples.to(torch::kInt32)).abs();
    EXPECT_LE(difference.max().item<int>(), 1);
    EXPECT_LT(difference.to(torch::kFloat64).mean().item<double>(), 0.02);
    // A checkpoint knows no device: what the GPU wrote draws the same on the CPU.
    const auto moved = restore_model(training::load_ema_weights(folder.path() / "gpu"), "the checkpoint");
    const auto again = sample_data(moved, config.sample, tensor::index_range(0, 6));
    EXPECT_LE((again.to(torch::kInt32) - there.samples.to(torch::kInt32)).abs().max().item<int>(), 1);
  }
}

TEST(GpuTraining, IsTheSameEveryTimeAndNearInBfloat16) {
  SKIP_WITHOUT_GPU(gpu);
  auto config = config_of(Loss::kSimple, ModelVariance::kFixedLarge);
  const testing::TempDir folder;
  const auto once = train(config, folder.path() / "1"), twice = train(config, folder.path() / "2");
  EXPECT_EQ(once.losses, twice.losses);
  EXPECT_TRUE(torch::equal(once.samples, twice.samples));
  config.train.precision = tensor::Precision::kBFloat16;
  const auto narrow = train(config, folder.path() / "3");
  for (size_t i = 0; i < once.losses.size(); ++i) {
    EXPECT_NEAR(narrow.losses[i], once.losses[i], 0.05 * once.losses[i]) << i;
  }
}

/// Recorded passes (tensor::ReplayedFunction) give the bits of the same passes told one by one.
TEST(GpuTraining, ReplayedStepsAreTheSame) {
  SKIP_WITHOUT_GPU(gpu);
  const testing::TempDir folder;
  for (const auto precision : {tensor::Precision::kFloat32, tensor::Precision::kBFloat16}) {
    for (const int64_t accumulate : {1, 2}) {
      auto config = config_of(Loss::kHybrid, ModelVariance::kLearnedRange);
      config.train.precision = precision;
      config.train.loop.accumulate = accumulate;
      const int64_t before = tensor::replayed_calls();
      const auto replayed = train(config, folder.path() / "replayed");
      const int64_t after = tensor::replayed_calls();
      EXPECT_GE(after - before, kSteps * accumulate - 1);
      ::setenv("DDPM_EVAL_CUDA_GRAPHS", "off", 1);
      const auto told = train(config, folder.path() / "told");
      ::unsetenv("DDPM_EVAL_CUDA_GRAPHS");
      EXPECT_EQ(tensor::replayed_calls(), after);
      EXPECT_EQ(replayed.losses, told.losses);
      for (size_t i = 0; i < told.averages.size(); ++i) {
        EXPECT_TRUE(torch::equal(replayed.averages[i].tensor, told.averages[i].tensor))
            << told.averages[i].name;
      }
      EXPECT_TRUE(torch::equal(replayed.samples, told.samples));
    }
  }
}

}  // namespace
}  // namespace ddpm_eval::ddpm
