#include "base/core/error.h"
#include "base/tensor/convolution.h"
#include "base/tensor/noise.h"
#include "base/tensor/product.h"
#include "ddpm/attention.h"
#include "ddpm/dropout.h"
#include "ddpm/gated_mlp.h"
#include "ddpm/group_norm.h"
#include "ddpm/layers.h"
#include "ddpm/objective.h"
#include "ddpm/schedule.h"
#include "tests/support/tensor_matchers.h"

#include <functional>

#include <gmock/gmock.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/types.h>

namespace ddpm_eval::ddpm {
namespace {

at::Tensor draws(const char* purpose, at::IntArrayRef shape) {
  return tensor::normal_rows({5, purpose}, tensor::index_range(0, shape[0]), 0, shape.slice(1));
}

/// That the gradient itself cannot be differentiated, rather than that a part of it would be missing.
void expect_one_derivative(const std::function<at::Tensor(const at::Tensor&)>& function,
                           const at::Tensor& x) {
  const auto leaf = x.detach().clone().requires_grad_(true);
  const auto y = function(leaf).sum();
  const auto gradient = [&](bool create_graph) {
    return torch::autograd::grad({y}, {leaf}, {}, /*retain_graph=*/true, create_graph)[0];
  };
  EXPECT_FALSE(gradient(false).requires_grad());
  EXPECT_THROW(gradient(true), core::LogicError);
}

TEST(SecondDerivative, IsRefusedNotWrong) {
  if (!tensor::has_multiply()) {
    GTEST_SKIP() << "without oneDNN convolutions and attention are LibTorch's own, which have one";
  }
  const auto x = to_channels_last(draws("x", {2, 32, 8, 8}));
  const auto column = draws("column", {32, 1}).flatten();
  for (const int64_t side : {1, 3}) {
    const auto weight = draws("weight", {32, 32, side, side});
    expect_one_derivative(
        [&](const at::Tensor& v) {
          return tensor::convolution(v, weight, column, {1, side / 2, side / 2}, torch::kFloat32);
        },
        x);
  }
  expect_one_derivative(
      [&](const at::Tensor& v) { return group_norm(v, 8, column, column, Activation::kSwish); }, x);
  expect_one_derivative([&](const at::Tensor& v) { return dropout(v, 0.5, {.seed = 1, .step = 0}, "test"); },
                        x);
  expect_one_derivative(attend, draws("qkv", {2, 16, 96}));
}

TEST(SecondDerivative, OfALossIsRefused) {
  const GatedMlp net({.width = 16, .layers = 1}, 2, 2, 10, ParameterMaker(1));
  DdpmTask task(net, DiffusionProcess(make_betas({.steps = 10})), draws("points", {20, 2}),
                {.batch_size = 4, .flip = false});
  training::StepLog unused;
  const auto loss = task.loss(0, unused);
  EXPECT_THROW(
      torch::autograd::grad({loss}, {net.parameters().front().tensor}, {}, true, /*create_graph=*/true),
      core::LogicError);
  const auto t = torch::zeros({3}, torch::kInt64);
  expect_one_derivative([&](const at::Tensor& v) { return net.forward(v, t); }, draws("x", {3, 2}));
}

}  // namespace
}  // namespace ddpm_eval::ddpm
