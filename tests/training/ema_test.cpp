#include "base/training/ema.h"

#include "tests/support/tensor_matchers.h"

#include <cmath>

#include <gtest/gtest.h>

namespace ddpm_eval::training {
namespace {

using testing::TensorEq;
using testing::TensorNear;

TEST(Ema, ClosedFormForAConstantTarget) {
  const tensor::NamedTensors weights{{"w", torch::zeros({3}, torch::kFloat64)}};
  Ema ema(weights, {}, {.decay = 0.9});
  weights[0].tensor.fill_(1.0);
  for (int64_t n = 0; n < 25; ++n) {
    ema.update(weights, {}, n);
  }
  // From 0 towards 1: 1 - d^n.
  EXPECT_THAT(ema.parameters()[0].tensor,
              TensorNear(torch::full({3}, 1 - std::pow(0.9, 25), torch::kFloat64), 1e-12));
}

TEST(Ema, RampedDecay) {
  const EmaOptions ramp{.decay = 0.99, .ramp = true};
  EXPECT_DOUBLE_EQ(ema_decay(ramp, 0), 0.1);
  EXPECT_DOUBLE_EQ(ema_decay(ramp, 8), 0.5);
  EXPECT_DOUBLE_EQ(ema_decay(ramp, 890), 0.99);
  EXPECT_DOUBLE_EQ(ema_decay(ramp, 100000), 0.99);
  EXPECT_DOUBLE_EQ(ema_decay({.decay = 0.99}, 0), 0.99);
}

TEST(Ema, FirstRampedUpdateIsNineTenthsOfTheNewWeights) {
  const tensor::NamedTensors weights{{"w", torch::zeros({1}, torch::kFloat64)}};
  Ema ema(weights, {}, {.decay = 0.9999, .ramp = true});
  weights[0].tensor.fill_(10.0);
  ema.update(weights, {}, 0);
  EXPECT_NEAR(ema.parameters()[0].tensor.item<double>(), 9.0, 1e-12);
}

TEST(Ema, StartsAsACopyOfItsOwn) {
  const tensor::NamedTensors weights{{"w", torch::ones({2}).requires_grad_(true)}};
  const Ema ema(weights, {}, {});
  weights[0].tensor.detach().fill_(5.0);
  EXPECT_THAT(ema.parameters()[0].tensor, TensorEq(torch::ones({2})));
  EXPECT_FALSE(ema.parameters()[0].tensor.requires_grad());
}

TEST(Ema, WithoutDecayFollowsTheWeights) {
  const tensor::NamedTensors weights{{"w", torch::rand({5})}};
  Ema ema(weights, {}, {.decay = 0});
  weights[0].tensor.mul_(3.7);
  ema.update(weights, {}, 0);
  EXPECT_THAT(ema.parameters()[0].tensor, TensorEq(weights[0].tensor));
}

/// More than one block of the plain loop, from both ends, and a tensor with gaps, which goes through
/// operators.
TEST(Ema, EqualsItsFormulaInFloat64) {
  for (const double decay : {0.9, 0.2}) {
    const auto wide = torch::randn({70'001});
    const auto gaps = torch::randn({6, 8}).slice(1, 0, 8, 2);
    const auto exact = torch::randn({11}, torch::kFloat64);
    const tensor::NamedTensors weights{{"wide", wide}, {"gaps", gaps}, {"exact", exact}};
    Ema ema(weights, {}, {.decay = decay});
    std::vector<at::Tensor> expected;
    for (const auto& [name, weight] : weights) {
      const auto before = weight.to(torch::kFloat64).clone();
      weight.add_(torch::randn(weight.sizes(), weight.scalar_type()));
      expected.push_back(before * decay + weight.to(torch::kFloat64) * (1 - decay));
    }
    ema.update(weights, {}, 0);
    EXPECT_THAT(ema.parameters()[0].tensor, TensorNear(expected[0], 1e-6));
    EXPECT_THAT(ema.parameters()[1].tensor, TensorNear(expected[1], 1e-6));
    EXPECT_THAT(ema.parameters()[2].tensor, TensorNear(expected[2], 1e-15));
  }
}

TEST(Ema, AveragesFloatingBuffersAndCopiesCounters) {
  const tensor::NamedTensors buffers{{"mean", torch::zeros({1})}, {"count", torch::zeros({}, torch::kInt64)}};
  Ema ema({}, buffers, {.decay = 0.75});
  buffers[0].tensor.fill_(8.0);
  buffers[1].tensor.fill_(3);
  ema.update({}, buffers, 0);
  EXPECT_EQ(ema.buffers()[0].tensor.item<float>(), 2.0F);
  EXPECT_EQ(ema.buffers()[1].tensor.item<int64_t>(), 3);
}

}  // namespace
}  // namespace ddpm_eval::training
