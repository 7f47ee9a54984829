#include "ddpm/attention.h"

#include "base/tensor/noise.h"
#include "base/tensor/runtime.h"
#include "ddpm/attention_kernel.h"
#include "tests/support/tensor_matchers.h"

#include <cmath>

#include <gmock/gmock.h>
#include <torch/types.h>

namespace ddpm_eval::ddpm {
namespace {

using testing::TensorEq;

at::Tensor draws(const char* purpose, at::IntArrayRef shape) {
  return tensor::normal_rows({5, purpose}, tensor::index_range(0, shape[0]), 0, shape.slice(1));
}

struct Passes {
  at::Tensor mixed, dqkv;
};

Passes run(const at::Tensor& qkv, at::ScalarType dtype) {
  const auto leaf = qkv.to(dtype).detach().clone().requires_grad_(true);
  const auto mixed = attend(leaf);
  mixed.backward(draws("direction", mixed.sizes()).to(dtype));
  return {mixed.detach(), leaf.grad()};
}

/// Float64 goes through LibTorch's operators.
TEST(Attention, ValueAndGradientEqualLibTorchsInFloat64) {
  for (const auto& shape : {std::vector<int64_t>{3, 64, 96}, {2, 49, 3 * 20}, {1, 1, 3}, {2, 5, 3 * 256}}) {
    const auto qkv = draws("qkv", shape);
    const auto fused = run(qkv, torch::kFloat32);
    const auto exact = run(qkv, torch::kFloat64);
    // One position has nothing to choose from, and its q and k no gradient.
    const auto error = [](const at::Tensor& got, const at::Tensor& want) {
      return (got.to(torch::kFloat64) - want).norm().item<double>() / want.norm().item<double>();
    };
    EXPECT_LE(error(fused.mixed, exact.mixed), 1e-6) << shape[1];
    EXPECT_LE(error(fused.dqkv, exact.dqkv), 2e-6) << shape[1];
  }
}

TEST(Attention, WhatIsNotFiniteStaysSo) {
  for (const float bad : {INFINITY, NAN}) {
    for (const int64_t place : {0, 21, 40}) {  // in lanes, and in what is left after them
      std::vector<float> row(41, 0.5F);
      row[static_cast<size_t>(place)] = bad;
      detail::softmax_rows(1, 41, row.data());
      EXPECT_TRUE(std::isnan(row[0]) && std::isnan(row[40])) << bad << " at " << place;
    }
  }
}

/// softmax(q k^T / sqrt(c)) v, one number at a time.
TEST(Attention, IsItsFormula) {
  const auto qkv = draws("qkv", {1, 4, 9}).to(torch::kFloat64);
  const auto mixed = attend(qkv.to(torch::kFloat32));
  for (int64_t i = 0; i < 4; ++i) {
    double total = 0;
    std::vector<double> sum(3, 0);
    for (int64_t j = 0; j < 4; ++j) {
      double score = 0;
      for (int64_t c = 0; c < 3; ++c) {
        score += qkv[0][i][c].item<double>() * qkv[0][j][3 + c].item<double>();
      }
      const double weight = std::exp(score / std::sqrt(3.0));
      total += weight;
      for (int64_t c = 0; c < 3; ++c) {
        sum[static_cast<size_t>(c)] += weight * qkv[0][j][6 + c].item<double>();
      }
    }
    for (int64_t c = 0; c < 3; ++c) {
      EXPECT_NEAR(mixed[0][i][c].item<double>(), sum[static_cast<size_t>(c)] / total, 1e-6);
    }
  }
}

TEST(Attention, AnImageDependsNeitherOnTheOthersNorOnThreads) {
  const auto qkv = draws("qkv", {5, 36, 48});
  const auto all = run(qkv, torch::kFloat32);
  EXPECT_THAT(attend(qkv.narrow(0, 3, 1)), TensorEq(all.mixed.narrow(0, 3, 1)));
  tensor::configure_runtime(2);
  const auto two = run(qkv, torch::kFloat32);
  tensor::configure_runtime(1);
  EXPECT_THAT(two.mixed, TensorEq(all.mixed));
  EXPECT_THAT(two.dqkv, TensorEq(all.dqkv));
}

TEST(Attention, SoftmaxOfLargeAndEqualScores) {
  std::vector<float> rows{1000, 0, -1000, 3e38F, 3e38F, 3e38F};
  detail::softmax_rows(2, 3, rows.data());
  EXPECT_EQ(rows[0], 1.0F);
  EXPECT_NEAR(rows[1] + rows[2], 0, 1e-37);
  EXPECT_NEAR(rows[3], 1.0 / 3, 1e-7);
  EXPECT_EQ(rows[4], rows[5]);
}

}  // namespace
}  // namespace ddpm_eval::ddpm
