#include "base/tensor/gpu_convolution.h"

#include "base/tensor/convolution.h"
#include "base/tensor/noise.h"
#include "tests/support/gpu.h"
#include "tests/support/tensor_matchers.h"
#include "tests/tensor/convolution_cases.h"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>

namespace ddpm_eval::tensor {
namespace {

using ddpm_eval::testing::TensorEq;
using ddpm_eval::testing::TensorNear;

using testing::Case;
using testing::draws;
using testing::kCases;

/// Values and gradients against LibTorch in float64 on the CPU, from the same (rounded) numbers, with a bias
/// and without; and the frozen one against both.
TEST(GpuConvolution, ValueAndGradientsEqualLibTorchsInFloat64) {
  SKIP_WITHOUT_GPU(gpu);
  const auto device = compute_device();
  for (const auto dtype : {torch::kFloat32, torch::kBFloat16}) {
    for (const Case& c : kCases) {
      for (const bool biased : {true, false}) {
        const auto rounded = [&](const at::Tensor& t) { return t.to(dtype).to(torch::kFloat32); };
        const auto here = draws("x", {3, c.in, c.side, c.side}).to(dtype);
        const auto x = here.to(device).contiguous(torch::MemoryFormat::ChannelsLast).requires_grad_(true);
        const auto weight = rounded(c.weight()).to(device).requires_grad_(true);
        const auto bias = rounded(c.bias()).to(device).requires_grad_(true);
        const auto y = convolution(x, weight, biased ? bias : at::Tensor(), c.shape, dtype);
        const auto dy = draws("dy", y.sizes()).to(dtype);
        y.backward(dy.to(device));

        const auto d = torch::kFloat64;
        const auto leaf = [&](const at::Tensor& t) { return t.detach().cpu().to(d).requires_grad_(true); };
        const auto wide_x = leaf(x), wide_weight = leaf(weight), wide_bias = leaf(bias);
        const auto& s = c.shape;
        const auto want = torch::conv2d(torch::constant_pad_nd(wide_x, c.padding()), wide_weight,
                                        biased ? wide_bias : at::Tensor(), s.stride);
        want.backward(dy.to(d));

        EXPECT_EQ(y.scalar_type(), dtype);
        EXPECT_TRUE(weight.grad().is_contiguous());
        const auto near = [&](const at::Tensor& exact, double relative) {
          return TensorNear(exact, relative * exact.abs().max().item<double>());
        };
        const double once = dtype == torch::kBFloat16 ? 0x1p-7 : 1e-5;
        EXPECT_THAT(y.detach().cpu(), near(want.detach(), once));
        EXPECT_THAT(x.grad().cpu(), near(wide_x.grad(), once));
        EXPECT_THAT(weight.grad().cpu(), near(wide_weight.grad(), once));
        if (biased) {
          EXPECT_THAT(bias.grad().cpu(), near(wide_bias.grad(), 1e-5));
        }
        const at::NoGradGuard no_grad;
        const FrozenConvolution frozen(weight, bias, c.shape);
        const auto kept = biased ? frozen(x, dtype) : frozen.with_bias({}, x);
        EXPECT_THAT(kept.cpu(), near(want.detach(), once));
      }
    }
  }
}

/// Whatever lies how: the same bits, channels-last.
TEST(GpuConvolution, TakesAnyLayout) {
  SKIP_WITHOUT_GPU(gpu);
  const at::NoGradGuard no_grad;
  const auto device = compute_device();
  for (const Case& c : kCases) {
    const auto x = draws("x", {3, c.in, c.side, c.side}).to(device);
    const auto lying = x.contiguous(torch::MemoryFormat::ChannelsLast);
    const auto part = torch::cat({lying, lying}, 1).narrow(1, c.in, c.in);
    for (const auto rectifier : {Rectifier::kRelu, Rectifier::kNone}) {
      const FrozenConvolution frozen(c.weight().to(device), c.bias().to(device), c.shape, rectifier);
      const auto y = frozen(lying, torch::kFloat32);
      EXPECT_TRUE(y.is_contiguous(torch::MemoryFormat::ChannelsLast));
      EXPECT_THAT(frozen(x, torch::kFloat32), TensorEq(y));
      EXPECT_THAT(frozen(part, torch::kFloat32), TensorEq(y));
    }
  }
}

/// A view that no vector of four begins in is for cuDNN.
TEST(GpuConvolution, TakesWhatNoVectorBeginsIn) {
  SKIP_WITHOUT_GPU(gpu);
  const at::NoGradGuard no_grad;
  const Case c{32, 32, {3, 3}, 6, padded(1, 1)};
  const auto device = compute_device();
  const auto numbers = draws("x", {1, 1 + 2 * 6 * 6 * 32}).flatten().to(device);
  const auto view = [&](int64_t first) {
    return numbers.narrow(0, first, 2 * 6 * 6 * 32).view({2, 6, 6, 32}).permute({0, 3, 1, 2});
  };
  const FrozenConvolution frozen(c.weight().to(device), c.bias().to(device), c.shape, Rectifier::kRelu);
  const auto want = frozen(view(1).clone(torch::MemoryFormat::ChannelsLast), torch::kFloat32);
  EXPECT_THAT(frozen(view(1), torch::kFloat32).cpu(), TensorNear(want.cpu().to(torch::kFloat64), 1e-4));
}

/// At depths where what tensor cores cut off would show. Measured on an H100: 0.8e-7 to 3.3e-7, cuDNN's
/// float32 1.8e-7 to 9.3e-7.
TEST(GpuConvolution, TensorCoresAreAsExactAsFloat32) {
  SKIP_WITHOUT_GPU(gpu);
  const at::NoGradGuard no_grad;
  const auto device = compute_device();
  const Case cases[] = {
      {448, 384, {3, 3}, 8, padded(1, 1)},         {2048, 320, {1, 1}, 8, padded(1, 0)},
      {48, 64, {5, 5}, 35, padded(1, 2)},          {192, 320, {3, 3}, 17, padded(2, 0)},
      {160, 160, {1, 7}, 17, {1, {0, 3}, {0, 3}}}, {16, 34, {3, 3}, 9, {2, {0, 0}, {1, 1}}}};
  const auto d = torch::kFloat64;
  for (const Case& c : cases) {
    SCOPED_TRACE(::testing::Message() << c.in << " to " << c.out << " channels");
    // Positive sums, as after a rectifier: what is cut off has one sign.
    const auto x = draws("x", {2, c.in, c.side, c.side}).abs(), weight = c.weight().abs(), bias = c.bias();
    const auto exact =
        torch::conv2d(torch::constant_pad_nd(x.to(d), c.padding()), weight.to(d), bias.to(d), c.shape.stride)
            .relu();
    const auto there = x.to(device).contiguous(torch::MemoryFormat::ChannelsLast);
    const FrozenConvolution rectified(weight.to(device), bias.to(device), c.shape, Rectifier::kRelu);
    const FrozenConvolution frozen(weight.to(device), bias.to(device), c.shape);
    const auto error = [&](const at::Tensor& y) {
      return ((y.cpu().to(d) - exact).norm() / exact.norm()).item<double>();
    };
    const auto got = rectified(there, torch::kFloat32);
    const double ours = error(got), operators = error(frozen(there, torch::kFloat32).relu());
    EXPECT_LT(ours, 5e-7);
    EXPECT_LT(ours, 2 * operators);
    EXPECT_THAT(rectified(there, torch::kFloat32), TensorEq(got));
    if (c.in >= 48) {  // operands of 10 bits, where they are asked for
      configure_runtime(1, "cuda", /*tf32=*/true);
      EXPECT_GT(error(rectified(there, torch::kFloat32)), 1e-6);
      configure_runtime(1, "cuda");
    }
  }
}

TEST(GpuConvolution, TensorCoresKeepNaN) {
  SKIP_WITHOUT_GPU(gpu);
  const at::NoGradGuard no_grad;
  const auto device = compute_device();
  auto x = torch::ones({1, 16, 4, 4});
  x[0][3][1][1] = std::numeric_limits<float>::quiet_NaN();
  const FrozenConvolution frozen(torch::ones({2, 16, 1, 1}, device), torch::zeros({2}, device), padded(1, 0),
                                 Rectifier::kRelu);
  const auto y = frozen(x.to(device), torch::kFloat32).cpu();
  EXPECT_TRUE(std::isnan(y[0][0][1][1].item<float>()) && std::isnan(y[0][1][1][1].item<float>()));
  EXPECT_EQ(y.isnan().sum().item<int64_t>(), 2);
  EXPECT_EQ(y[0][0][0][0].item<float>(), 16.0F);
}

TEST(GpuConvolution, ARectifierCutsWhatIsBelowZero) {
  SKIP_WITHOUT_GPU(gpu);
  const at::NoGradGuard no_grad;
  const auto device = compute_device();
  for (const auto dtype : {torch::kFloat32, torch::kBFloat16}) {
    for (const Case& c : kCases) {
      const auto weight = c.weight().to(device), bias = c.bias().to(device);
      const auto x = draws("x", {3, c.in, c.side, c.side})
                         .to(device)
                         .contiguous(torch::MemoryFormat::ChannelsLast)
                         .to(dtype);
      const auto want = FrozenConvolution(weight, bias, c.shape)(x, dtype).relu().cpu().to(torch::kFloat64);
      const auto got = FrozenConvolution(weight, bias, c.shape, Rectifier::kRelu)(x, dtype).cpu();
      EXPECT_THAT(got, TensorNear(want, 1e-5 * want.abs().max().item<double>()));
    }
  }
}

/// What goes from bfloat16 to float32 is not rounded in between.
TEST(GpuConvolution, AWiderResultIsExact) {
  SKIP_WITHOUT_GPU(gpu);
  const at::NoGradGuard no_grad;
  const auto x = draws("x", {2, 64, 8, 8}).to(torch::kBFloat16);
  const auto weight = draws("weight", {3, 64, 3, 3}), bias = draws("bias", {3, 1}).flatten();
  const auto want =
      torch::conv2d(x.to(torch::kFloat64), weight.to(torch::kFloat64), bias.to(torch::kFloat64), 1, 1);
  const auto device = compute_device();
  const auto got = convolution(x.to(device).contiguous(torch::MemoryFormat::ChannelsLast), weight.to(device),
                               bias.to(device), padded(1, 1), torch::kFloat32);
  EXPECT_THAT(got.cpu(), TensorNear(want, 1e-5 * want.abs().max().item<double>()));
}

/// Added with the bias and rounded once; its gradient is that of the sum.
TEST(GpuConvolution, AddsAResidual) {
  SKIP_WITHOUT_GPU(gpu);
  const auto device = compute_device();
  for (const auto dtype : {torch::kFloat32, torch::kBFloat16}) {
    for (const int64_t channels : {3, 8, 20, 256, 300}) {
      const auto image = [&](const char* purpose, int64_t width) {
        return draws(purpose, {2, width, 5, 7})
            .to(dtype)
            .to(device)
            .contiguous(torch::MemoryFormat::ChannelsLast);
      };
      const auto x = image("x", 4);
      const auto residual = image("residual", channels).requires_grad_(true);
      const auto weight = draws("weight", {channels, 4, 3, 3}).to(dtype).to(torch::kFloat32).to(device);
      const auto bias = draws("bias", {channels, 1}).flatten().to(dtype).to(torch::kFloat32).to(device);
      const auto shape = padded(1, 1);
      const auto d = torch::kFloat64;
      const auto want = torch::conv2d(x.to(d), weight.to(d), bias.to(d), 1, 1) + residual.detach().to(d);
      const auto near =
          TensorNear(want, (dtype == torch::kBFloat16 ? 0x1p-7 : 1e-5) * want.abs().max().item<double>());
      const auto leaf = weight.clone().requires_grad_(true);
      const auto y = convolution(x, leaf, bias, shape, dtype, residual);
      EXPECT_THAT(y.detach(), near) << channels;
      const auto dy = image("dy", channels);
      y.backward(dy);
      EXPECT_TRUE(torch::equal(residual.grad(), dy)) << channels;
      const at::NoGradGuard no_grad;
      const FrozenConvolution frozen(weight, bias, shape);
      EXPECT_THAT(frozen.with_bias(bias, x, residual.detach()), near) << channels;
      EXPECT_THAT(frozen.with_bias({}, x, residual.detach()),
                  TensorNear(want - bias.to(d).view({-1, 1, 1}), 0x1p-7 * want.abs().max().item<double>()));
    }
  }
}

}  // namespace
}  // namespace ddpm_eval::tensor
