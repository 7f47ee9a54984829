#include "base/tensor/noise.h"
#include "ddpm/objective.h"
#include "ddpm/schedule.h"
#include "ddpm/unet.h"
#include "tests/support/tensor_matchers.h"

#include <cmath>

#include <gmock/gmock.h>

namespace ddpm_eval::ddpm {
namespace {

using testing::TensorNear;

/// Gradients and log of step 3 of a U-Net with dropout, in so many parts.
struct SplitStep {
  double loss = 0;
  tensor::NamedTensors parameters;
  std::vector<at::Tensor> grads;
  training::StepLog log;
  tensor::NamedTensors buffers;
};

SplitStep split_step(int64_t parts, const ObjectiveConfig& objective) {
  UNetConfig config;
  config.base_channels = 8;
  config.multipliers = {1, 2};
  config.res_blocks = 1;
  config.attention_resolutions = {4};
  config.dropout = 0.5;
  config.groups = 4;
  const UNet network(config, {.in_channels = 3, .out_channels = 3, .image_side = 8}, ParameterMaker(1));
  const auto images =
      tensor::integers({5, "images"}, tensor::index_range(0, 20 * 192), 0, 256).to(torch::kUInt8);
  constexpr int64_t kRows = 12;
  DdpmTask task(network, DiffusionProcess(make_betas({.steps = 10})), images.view({20, 3, 8, 8}),
                {.batch_size = kRows, .seed = 2, .objective = objective});
  SplitStep result;
  // Steps before it fill the history of importance sampling.
  for (int64_t step = 0; step < 30; ++step) {
    task.loss(step, result.log);
  }
  result.log.clear();
  for (int64_t part = 0; part < parts; ++part) {
    const auto loss = task.part_of_loss(30, {part * kRows / parts, (part + 1) * kRows / parts});
    loss.backward();
    result.loss += loss.item<double>();
  }
  task.end_of_parts(30, {0, kRows}, result.log);
  for (const auto& [name, parameter] : network.parameters()) {
    result.grads.push_back(parameter.grad().clone());
  }
  result.buffers = task.buffers();
  return result;
}

TEST(ObjectiveParts, PartsOfABatchSumToTheWhole) {
  for (const auto kind : {TSampling::kUniform, TSampling::kAntithetic, TSampling::kImportance}) {
    ObjectiveConfig objective;
    objective.t_sampling = kind;
    objective.loss = kind == TSampling::kImportance ? Loss::kBound : Loss::kSimple;
    const auto whole = split_step(1, objective);
    for (const int64_t parts : {2, 4}) {
      const auto split = split_step(parts, objective);
      EXPECT_NEAR(split.loss, whole.loss, 1e-6 * std::abs(whole.loss));
      ASSERT_EQ(split.grads.size(), whole.grads.size());
      for (size_t i = 0; i < split.grads.size(); ++i) {
        const double size = whole.grads[i].abs().max().item<double>();
        EXPECT_THAT(split.grads[i], TensorNear(whole.grads[i], 1e-5 * size + 1e-7));
      }
      ASSERT_EQ(split.log.size(), whole.log.size());
      for (const auto& [name, value] : whole.log) {
        EXPECT_NEAR(split.log.at(name), value, 1e-6 * std::abs(value)) << name;
      }
      for (size_t i = 0; i < whole.buffers.size(); ++i) {
        EXPECT_THAT(split.buffers[i].tensor, TensorNear(whole.buffers[i].tensor, 1e-5));
      }
    }
  }
}

}  // namespace
}  // namespace ddpm_eval::ddpm
