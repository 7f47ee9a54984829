#include "ddpm/gated_pass.h"

#include "base/core/error.h"
#include "base/tensor/noise.h"
#include "base/tensor/runtime.h"
#include "ddpm/elementary.h"
#include "ddpm/gated_kernel.h"
#include "tests/support/tensor_matchers.h"

#include <cmath>

#include <gmock/gmock.h>
#include <torch/types.h>

namespace ddpm_eval::ddpm {
namespace {

using testing::TensorEq;
using testing::TensorNear;

at::Tensor draws(const std::string& purpose, at::IntArrayRef shape) {
  return tensor::normal_rows({5, purpose}, tensor::index_range(0, shape[0]), 0, shape.slice(1));
}

at::Tensor steps_of(int64_t rows, int64_t steps) {
  return tensor::integers({5, "t"}, tensor::index_range(0, rows), 0, steps);
}

struct Shape {
  int64_t rows, dimensions, width, layers, steps;
};

struct Network {
  std::vector<GatedLayer> layers;
  OutputLayer out;

  explicit Network(const Shape& shape)
      : out{draws("out", {shape.dimensions, shape.width}),
            draws("out.bias", {shape.dimensions, 1}).flatten()} {
    for (int64_t i = 0; i < shape.layers; ++i) {
      const auto name = std::to_string(i);
      const int64_t in = i == 0 ? shape.dimensions : shape.width;
      layers.push_back({draws(name, {shape.width, in}) / std::sqrt(double(in)),
                        draws(name + ".bias", {shape.width, 1}).flatten(),
                        draws(name + ".gate", {shape.steps, shape.width})});
    }
  }

  std::vector<at::Tensor*> leaves() {
    std::vector<at::Tensor*> all;
    for (auto& layer : layers) {
      all.insert(all.end(), {&layer.weight, &layer.bias, &layer.gates});
    }
    all.insert(all.end(), {&out.weight, &out.bias});
    return all;
  }

  /// The output and the gradients of sum(output direction): of x, then of the leaves.
  std::vector<at::Tensor> run(at::Tensor x, const at::Tensor& t, at::ScalarType dtype) {
    x = x.to(dtype).detach().clone().requires_grad_(true);
    for (auto* leaf : leaves()) {
      *leaf = leaf->detach().to(dtype).clone().requires_grad_(true);
    }
    const auto y = gated_pass(layers, out, x, t);
    (y * draws("direction", y.sizes())).sum().backward();
    std::vector<at::Tensor> all{y.detach(), x.grad()};
    for (auto* leaf : leaves()) {
      all.push_back(leaf->grad());
    }
    return all;
  }
};

/// Float64 goes through LibTorch's operators.
TEST(GatedPass, ValueAndGradientsEqualLibTorchsInFloat64) {
  for (const Shape& shape :
       {Shape{128, 2, 128, 3, 100}, {7, 2, 5, 1, 3}, {1, 3, 16, 2, 1}, {200, 1, 33, 4, 2}}) {
    Network network(shape);
    const auto x = draws("x", {shape.rows, shape.dimensions});
    const auto t = steps_of(shape.rows, shape.steps);
    const auto fused = network.run(x, t, torch::kFloat32);
    const auto exact = network.run(x, t, torch::kFloat64);
    ASSERT_EQ(fused.size(), exact.size());
    for (size_t i = 0; i < exact.size(); ++i) {
      const double size = exact[i].norm().item<double>();
      EXPECT_GT(size, 0) << i;
      EXPECT_EQ(fused[i].scalar_type(), torch::kFloat32);
      EXPECT_LE((fused[i].to(torch::kFloat64) - exact[i]).norm().item<double>(), 1e-6 * size)
          << "tensor " << i << " of " << shape.rows << " rows";
    }
  }
}

TEST(GatedPass, RepeatsToTheBitAndIsTheSameWithoutAGraph) {
  const Shape shape{64, 2, 40, 2, 9};
  Network network(shape);
  const auto x = draws("x", {shape.rows, shape.dimensions});
  const auto t = steps_of(shape.rows, shape.steps);
  const auto once = network.run(x, t, torch::kFloat32);
  const auto again = network.run(x, t, torch::kFloat32);
  for (size_t i = 0; i < once.size(); ++i) {
    EXPECT_THAT(again[i], TensorEq(once[i])) << i;
  }
  const at::NoGradGuard no_grad;
  const auto y = gated_pass(network.layers, network.out, x, t);
  EXPECT_FALSE(y.requires_grad());
  EXPECT_THAT(y, TensorEq(once[0]));
}

TEST(GatedPass, RefusesATimeWithoutGates) {
  const Network network({2, 2, 4, 1, 3});
  const auto x = draws("x", {2, 2});
  EXPECT_THROW(gated_pass(network.layers, network.out, x, torch::tensor({0, 3}, torch::kInt64)),
               core::LogicError);
  EXPECT_THROW(gated_pass(network.layers, network.out, x, torch::tensor({-1, 0}, torch::kInt64)),
               core::LogicError);
}

/// Far out softplus is 0 or its argument, and never infinite.
TEST(GatedKernel, SoftplusFarFromZero) {
  const std::vector<float> y{-1e30F, -100, -20, -1, 0, 1, 20, 100, 1e30F};
  const std::vector<float> gates(y.size(), 1), bias(y.size(), 0);
  std::vector<float> h(y.size()), slope(y.size());
  const int64_t t = 0;
  const detail::GatedRows shape{1, static_cast<int64_t>(y.size()), bias.data(), gates.data(), &t};
  detail::gated_softplus(shape, 0, 1, y.data(), h.data(), slope.data());
  for (size_t i = 0; i < y.size(); ++i) {
    const double z = y[i];
    const double exact = std::max(z, 0.0) + std::log1p(std::exp(-std::abs(z)));
    EXPECT_NEAR(h[i], exact, 5e-7 * exact + 1e-37) << z;
    const double sigmoid = z > 0 ? 1 / (1 + std::exp(-z)) : std::exp(z) / (1 + std::exp(z));
    EXPECT_NEAR(slope[i], sigmoid, 5e-7 * sigmoid + 1e-37) << z;
  }
}

TEST(Elementary, ExponentialAndArtanhKeepTheirAccuracy) {
  for (int i = -8700; i <= 8800; ++i) {
    const auto x = static_cast<float>(i) * 0.01F;
    const double exact = std::exp(static_cast<double>(x));
    ASSERT_NEAR(detail::exponential(x), exact, 3e-7 * exact) << x;
  }
  for (int i = 0; i <= 1000; ++i) {
    const auto w = static_cast<float>(i) * 0.000333333F;
    const double exact = std::atanh(static_cast<double>(w));
    ASSERT_NEAR(detail::artanh(w), exact, 2e-7 * exact) << w;
  }
}

}  // namespace
}  // namespace ddpm_eval::ddpm
