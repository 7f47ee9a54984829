#include "base/training/adam.h"

#include "base/training/gradient.h"
#include "tests/support/errors.h"
#include "tests/support/tensor_matchers.h"
#include "tests/training/draws.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/optim/adam.h>
#include <torch/optim/adamw.h>

namespace ddpm_eval::training {
namespace {

using testing::normal;
using testing::TensorEq;
using testing::TensorNear;

void set_grad(const at::Tensor& parameter, const at::Tensor& grad) {
  at::Tensor(parameter).mutable_grad() = grad;
}

/// Parameters of every memory layout that occurs, and one that the kernels must leave to operators.
tensor::NamedTensors make_parameters() {
  tensor::NamedTensors parameters{
      {"plain", normal({37, 5}, 0)},
      {"channels_last", normal({8, 3, 3, 3}, 1).contiguous(at::MemoryFormat::ChannelsLast)},
      {"pointwise", normal({16, 8, 1, 1}, 2).contiguous(at::MemoryFormat::ChannelsLast)},
      {"float64", normal({11}, 3).to(torch::kFloat64)},
      {"gaps", normal({6, 10}, 4).slice(1, 0, 10, 2)},
      {"large", normal({100000}, 5)},
  };
  for (auto& [name, parameter] : parameters) {
    parameter.requires_grad_(true);
  }
  return parameters;
}

void set_grads(const tensor::NamedTensors& parameters, int64_t step) {
  for (size_t i = 0; i < parameters.size(); ++i) {
    const auto& p = parameters[i].tensor;
    set_grad(p, (normal(p.sizes(), static_cast<int64_t>(i), step + 1) * 0.3).to(p.scalar_type()));
  }
}

template <class Peer>
void expect_equal_to(Peer& peer, std::vector<at::Tensor>& theirs, double weight_decay) {
  const auto ours = make_parameters();
  Adam adam(ours, {.weight_decay = weight_decay});
  for (int64_t step = 0; step < 20; ++step) {
    set_grads(ours, step);
    for (size_t i = 0; i < theirs.size(); ++i) {
      theirs[i].mutable_grad() = ours[i].tensor.grad().clone();
    }
    adam.update(ours, step, 3e-3);
    peer.step();
  }
  for (size_t i = 0; i < theirs.size(); ++i) {
    const double scale = theirs[i].abs().max().template item<double>();
    EXPECT_THAT(ours[i].tensor, TensorNear(theirs[i], 1e-6 * scale)) << ours[i].name;
  }
}

std::vector<at::Tensor> clones() {
  std::vector<at::Tensor> all;
  for (const auto& [name, parameter] : make_parameters()) {
    all.push_back(parameter.detach().clone().requires_grad_(true));
  }
  return all;
}

TEST(Adam, FirstStepIsTheLearningRateTimesTheSign) {
  const tensor::NamedTensors parameters{{"w", torch::tensor({1.0, 1.0, 1.0}, torch::kFloat64)}};
  Adam adam(parameters, {.eps = 1e-12});
  set_grad(parameters[0].tensor, torch::tensor({0.5, -2.0, 1e3}, torch::kFloat64));
  adam.update(parameters, 0, 0.1);
  EXPECT_THAT(parameters[0].tensor, TensorNear(torch::tensor({0.9, 1.1, 0.9}, torch::kFloat64), 1e-12));
}

TEST(Adam, EqualsTorchAdam) {
  auto theirs = clones();
  torch::optim::Adam peer(theirs, torch::optim::AdamOptions(3e-3));
  expect_equal_to(peer, theirs, 0);
}

TEST(Adam, EqualsTorchAdamW) {
  auto theirs = clones();
  torch::optim::AdamW peer(theirs, torch::optim::AdamWOptions(3e-3).weight_decay(0.1));
  expect_equal_to(peer, theirs, 0.1);
}

TEST(Adam, GradientInAnotherMemoryOrder) {
  const tensor::NamedTensors a{{"w", normal({4, 3, 3, 3}, 0)}};
  const tensor::NamedTensors b{{"w", a[0].tensor.clone()}};
  const auto grad = normal({4, 3, 3, 3}, 1);
  set_grad(a[0].tensor, grad);
  set_grad(b[0].tensor, grad.contiguous(at::MemoryFormat::ChannelsLast));
  Adam(a, {}).update(a, 0, 0.1);
  Adam(b, {}).update(b, 0, 0.1);
  EXPECT_THAT(b[0].tensor, TensorNear(a[0].tensor, 1e-7));
}

TEST(Adam, ScalesGradients) {
  const auto scaled = make_parameters();
  const auto halved = make_parameters();
  Adam adam_scaled(scaled, {});
  Adam adam_halved(halved, {});
  set_grads(scaled, 0);
  for (size_t i = 0; i < halved.size(); ++i) {
    set_grad(halved[i].tensor, scaled[i].tensor.grad() * 0.5);
  }
  adam_scaled.update(scaled, 0, 1e-2, 0.5);
  adam_halved.update(halved, 0, 1e-2);
  for (size_t i = 0; i < halved.size(); ++i) {
    EXPECT_THAT(scaled[i].tensor, TensorEq(halved[i].tensor)) << scaled[i].name;
  }
}

TEST(Adam, LeavesParametersWithoutGradientAlone) {
  const tensor::NamedTensors parameters{{"used", torch::ones({3})}, {"idle", torch::ones({3})}};
  Adam adam(parameters, {});
  set_grad(parameters[0].tensor, torch::ones({3}));
  adam.update(parameters, 0, 0.1);
  EXPECT_THAT(parameters[1].tensor, TensorEq(torch::ones({3})));
  EXPECT_LT(parameters[0].tensor[0].item<float>(), 1);
}

TEST(Adam, SameBitsForAnyNumberOfThreads) {
  const int before = at::get_num_threads();
  std::vector<at::Tensor> results;
  for (const int threads : {1, 3}) {
    at::set_num_threads(threads);
    const auto parameters = make_parameters();
    Adam adam(parameters, {});
    for (int64_t step = 0; step < 3; ++step) {
      set_grads(parameters, step);
      adam.update(parameters, step, 1e-2, clip_scale(gradient_norm(parameters), 1.0));
    }
    results.push_back(tensor::find(parameters, "large").detach());
  }
  at::set_num_threads(before);
  EXPECT_THAT(results[0], TensorEq(results[1]));
}

TEST(Adam, StateIsNamedAndShared) {
  const tensor::NamedTensors parameters{{"w", torch::ones({2})}};
  Adam adam(parameters, {});
  set_grad(parameters[0].tensor, torch::full({2}, 2.0));
  adam.update(parameters, 0, 0.1);
  const auto state = adam.state();
  ASSERT_EQ(state.size(), 2U);
  EXPECT_THAT(tensor::find(state, "exp_avg.w"), TensorNear(torch::full({2}, 0.2), 1e-7));
  EXPECT_THAT(tensor::find(state, "exp_avg_sq.w"), TensorNear(torch::full({2}, 0.004), 1e-8));
}

TEST(Gradient, NormOfAllParametersTogether) {
  const tensor::NamedTensors parameters{
      {"a", torch::zeros({2})}, {"b", torch::zeros({1}, torch::kFloat64)}, {"idle", torch::zeros({4})}};
  set_grad(parameters[0].tensor, torch::tensor({2.0F, 3.0F}));
  set_grad(parameters[1].tensor, torch::tensor({6.0}, torch::kFloat64));
  EXPECT_EQ(gradient_norm(parameters), 7.0);
}

TEST(Gradient, NormNeitherOverflowsNorDependsOnThreads) {
  const tensor::NamedTensors huge{{"w", torch::zeros({100001})}};
  set_grad(huge[0].tensor, torch::full({100001}, 1e30F));
  EXPECT_NEAR(gradient_norm(huge) / (std::sqrt(100001.0) * static_cast<double>(1e30F)), 1, 1e-12);
  set_grad(huge[0].tensor, normal({100001}, 0));
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const double one = gradient_norm(huge);
  at::set_num_threads(3);
  const double three = gradient_norm(huge);
  at::set_num_threads(before);
  EXPECT_EQ(one, three);
  EXPECT_NEAR(one, huge[0].tensor.grad().to(torch::kFloat64).norm().item<double>(), 1e-9);
}

TEST(Gradient, NormShowsNonFiniteElements) {
  const tensor::NamedTensors parameters{{"w", torch::zeros({3})}};
  set_grad(parameters[0].tensor, torch::tensor({1.0F, NAN, 1.0F}));
  EXPECT_TRUE(std::isnan(gradient_norm(parameters)));
  set_grad(parameters[0].tensor, torch::tensor({1.0F, INFINITY, 1.0F}));
  EXPECT_TRUE(std::isinf(gradient_norm(parameters)));
}

TEST(Gradient, ClipScale) {
  EXPECT_EQ(clip_scale(4.0, 1.0), 0.25);
  EXPECT_EQ(clip_scale(0.5, 1.0), 1.0);
  EXPECT_EQ(clip_scale(1.0, 1.0), 1.0);
  EXPECT_EQ(clip_scale(4.0, 0.0), 1.0);
}

TEST(Gradient, ClearDropsThem) {
  const tensor::NamedTensors parameters{{"w", torch::zeros({3})}};
  set_grad(parameters[0].tensor, torch::ones({3}));
  clear_gradients(parameters);
  EXPECT_FALSE(parameters[0].tensor.grad().defined());
  EXPECT_EQ(gradient_norm(parameters), 0.0);
}

}  // namespace
}  // namespace ddpm_eval::training
