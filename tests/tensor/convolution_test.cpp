#include "base/tensor/convolution.h"

#include "base/core/error.h"
#include "base/tensor/noise.h"
#include "base/tensor/onednn_convolution.h"
#include "base/tensor/padding.h"
#include "tests/support/tensor_matchers.h"
#include "tests/tensor/convolution_cases.h"

#include <cmath>

#include <ATen/Parallel.h>
#include <gmock/gmock.h>

namespace ddpm_eval::tensor {
namespace {

using ddpm_eval::testing::TensorEq;
using ddpm_eval::testing::TensorNear;

using testing::Case;
using testing::draws;
using testing::kCases;

/// Values and gradients against LibTorch in float64, from the same (rounded) numbers.
TEST(Convolution, ValueAndGradientsEqualLibTorchsInFloat64) {
  for (const auto dtype : {torch::kFloat32, torch::kBFloat16}) {
    for (const Case& c : kCases) {
      const auto rounded = [&](const at::Tensor& t) { return t.to(dtype).to(torch::kFloat32); };
      auto x = draws("x", {3, c.in, c.side, c.side})
                   .contiguous(torch::MemoryFormat::ChannelsLast)
                   .to(dtype)
                   .requires_grad_(true);
      auto weight = rounded(c.weight()).requires_grad_(true);
      auto bias = c.bias().requires_grad_(true);
      const auto y = convolution(x, weight, bias, c.shape, dtype);
      const auto dy = draws("dy", y.sizes()).to(dtype);
      y.backward(dy);

      const auto d = torch::kFloat64;
      auto wide_x = x.detach().to(d).requires_grad_(true);
      auto wide_weight = weight.detach().to(d).requires_grad_(true);
      auto wide_bias = bias.detach().to(d).requires_grad_(true);
      const auto& s = c.shape;
      const auto want =
          torch::conv2d(torch::constant_pad_nd(wide_x, c.padding()), wide_weight, wide_bias, s.stride);
      want.backward(dy.to(d));

      EXPECT_EQ(y.scalar_type(), dtype);
      EXPECT_EQ(weight.grad().scalar_type(), torch::kFloat32);
      EXPECT_TRUE(weight.grad().is_contiguous());
      const auto near = [&](const at::Tensor& exact, double relative) {
        return TensorNear(exact, relative * exact.abs().max().item<double>());
      };
      const double once = dtype == torch::kBFloat16 ? 0x1p-8 : 1e-5;
      EXPECT_THAT(y.detach().to(d), near(want.detach(), once));
      EXPECT_THAT(x.grad().to(d), near(wide_x.grad(), once));
      EXPECT_THAT(weight.grad().to(d), near(wide_weight.grad(), 1e-5));
      EXPECT_THAT(bias.grad().to(d), near(wide_bias.grad(), 1e-5));
    }
  }
}

/// The same bits, where the convolutions are ours to choose; LibTorch's own choose by the number of rows.
::testing::Matcher<const at::Tensor&> same_as(const at::Tensor& want) {
  if (onednn::available()) {
    return TensorEq(want);
  }
  const double once = want.scalar_type() == torch::kBFloat16 ? 0x1p-8 : 1e-5;
  return TensorNear(want, once * want.abs().max().item<double>());
}

TEST(Convolution, FrozenIsTheSameAndAdds) {
  const at::NoGradGuard no_grad;
  for (const auto dtype : {torch::kFloat32, torch::kBFloat16}) {
    for (const Case& c : kCases) {
      const auto weight = c.weight();
      const auto bias = c.bias();
      const FrozenConvolution frozen(weight, bias, c.shape);
      for (const int64_t rows : {4, 1, 3}) {
        const auto x =
            draws("x", {rows, c.in, c.side, c.side}).contiguous(torch::MemoryFormat::ChannelsLast).to(dtype);
        const auto want = convolution(x, weight, bias, c.shape, dtype);
        EXPECT_THAT(frozen(x, dtype), same_as(want));
        EXPECT_THAT(frozen(x, torch::kFloat32),
                    same_as(convolution(x, weight, bias, c.shape, torch::kFloat32)));
        auto sum = draws("sum", want.sizes()).to(dtype).contiguous(torch::MemoryFormat::ChannelsLast);
        const auto exact = sum.to(torch::kFloat64) +
                           convolution(x, weight, bias, c.shape, torch::kFloat32).to(torch::kFloat64);
        frozen.add_to(sum, x);
        const double tolerance =
            (dtype == torch::kBFloat16 ? 0x1p-8 : 1e-6) * exact.abs().max().item<double>();
        EXPECT_THAT(sum.to(torch::kFloat64), TensorNear(exact, tolerance));
      }
    }
  }
}

TEST(Convolution, ARectifierCutsWhatIsBelowZero) {
  const at::NoGradGuard no_grad;
  for (const auto dtype : {torch::kFloat32, torch::kBFloat16}) {
    for (const Case& c : kCases) {
      const auto weight = c.weight(), bias = c.bias();
      const FrozenConvolution rectified(weight, bias, c.shape, Rectifier::kRelu);
      const auto x =
          draws("x", {3, c.in, c.side, c.side}).contiguous(torch::MemoryFormat::ChannelsLast).to(dtype);
      const auto plain = convolution(x, weight, bias, c.shape, dtype);
      ASSERT_LT(plain.min().item<float>(), 0);
      EXPECT_THAT(rectified(x, dtype), TensorEq(plain.relu()));
    }
  }
  const FrozenConvolution wide(draws("weight", {4, 2, 1, 1}).to(torch::kFloat64),
                               draws("bias", {4, 1}).flatten().to(torch::kFloat64), {}, Rectifier::kRelu);
  auto sum = torch::zeros({2, 4, 3, 3}, torch::kFloat64);
  EXPECT_THROW(wide.add_to(sum, draws("x", {2, 2, 3, 3}).to(torch::kFloat64)), core::LogicError);
  EXPECT_EQ(wide(draws("x", {2, 2, 3, 3}).to(torch::kFloat64), torch::kFloat64).min().item<double>(), 0);
}

TEST(Convolution, ARowDependsOnNoOther) {
  const at::NoGradGuard no_grad;
  for (const Case& c : kCases) {
    const auto weight = c.weight();
    const auto bias = c.bias();
    const FrozenConvolution frozen(weight, bias, c.shape);
    const auto x = draws("x", {5, c.in, c.side, c.side}).contiguous(torch::MemoryFormat::ChannelsLast);
    const auto all = frozen(x, torch::kFloat32);
    for (int64_t row = 0; row < x.size(0); ++row) {
      EXPECT_THAT(frozen(x.narrow(0, row, 1), torch::kFloat32), same_as(all.narrow(0, row, 1)));
    }
  }
}

TEST(Convolution, ThreadsDoNotChangeARow) {
  if (!onednn::has_avx512()) {
    GTEST_SKIP() << "Winograd's filtering is not used";
  }
  const at::NoGradGuard no_grad;
  const auto weight = draws("weight", {64, 384, 3, 3}), bias = draws("bias", {64, 1}).flatten();
  const FrozenConvolution frozen(weight, bias, padded(1, 1));
  const auto x = draws("x", {5, 384, 16, 16}).contiguous(torch::MemoryFormat::ChannelsLast);
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const auto want = frozen(x, torch::kFloat32);
  at::set_num_threads(8);
  EXPECT_THAT(frozen(x, torch::kFloat32), TensorEq(want));
  EXPECT_THAT(frozen(x.narrow(0, 2, 1), torch::kFloat32), TensorEq(want.narrow(0, 2, 1))) << "a single block";
  at::set_num_threads(before);
}

/// Winograd's tiles of 2 x 2 do not make the error of sums in float32 larger; those of 4 x 4 would.
TEST(Convolution, ManyChannelsLoseNoDigits) {
  if (!onednn::has_avx512()) {
    GTEST_SKIP() << "Winograd's filtering is not used";
  }
  const at::NoGradGuard no_grad;
  const auto x = draws("x", {2, 384, 16, 16}).contiguous(torch::MemoryFormat::ChannelsLast);
  const auto weight = draws("weight", {128, 384, 3, 3}) / std::sqrt(9.0 * 384);
  const auto bias = draws("bias", {128, 1}).flatten();
  const auto exact =
      torch::conv2d(x.to(torch::kFloat64), weight.to(torch::kFloat64), bias.to(torch::kFloat64), 1, 1);
  const auto got = convolution(x, weight, bias, padded(1, 1), torch::kFloat32);
  const auto error = [&](const at::Tensor& y) {
    return (y.to(torch::kFloat64) - exact).square().mean().sqrt().item<double>();
  };
  EXPECT_LT(error(got), error(torch::conv2d(x, weight, bias, 1, 1)));
}

TEST(Convolution, OtherDtypesGoThroughLibTorch) {
  const auto x = draws("x", {2, 4, 6, 6}).to(torch::kFloat64);
  const auto weight = draws("weight", {5, 4, 3, 3}), bias = draws("bias", {5, 1}).flatten();
  const auto y = convolution(x, weight, bias, {2, {0, 0}, {1, 1}}, torch::kFloat64);
  EXPECT_THAT(y, TensorEq(torch::conv2d(torch::constant_pad_nd(x, {0, 1, 0, 1}), weight.to(torch::kFloat64),
                                        bias.to(torch::kFloat64), 2)));
  for (const Case& c : kCases) {
    const auto wide = draws("x", {2, c.in, c.side, c.side}).to(torch::kFloat64);
    const auto w = c.weight().to(torch::kFloat64), b = c.bias().to(torch::kFloat64);
    EXPECT_THAT(
        convolution(wide, w, b, c.shape, torch::kFloat64),
        TensorNear(torch::conv2d(torch::constant_pad_nd(wide, c.padding()), w, b, c.shape.stride), 1e-10));
  }
}

TEST(Convolution, PaddingThatIsTakenOffAgainLeavesWhatWas) {
  const auto x = draws("x", {2, 3, 4, 5});
  for (const ConvolutionShape& shape :
       {ConvolutionShape{1, {1, 2}, {3, 4}}, ConvolutionShape{2, {0, 0}, {1, 1}}, padded(1, 2)}) {
    const Padding padding(shape);
    const auto around = padding.around(x);
    const bool even = shape.pad_begin == shape.pad_end;
    EXPECT_EQ(around.size(2), even ? 4 : 4 + shape.pad_begin[0] + shape.pad_end[0]);
    EXPECT_EQ(around.size(3), even ? 5 : 5 + shape.pad_begin[1] + shape.pad_end[1]);
    EXPECT_EQ(padding.inside(), even ? at::IntArrayRef(shape.pad_begin) : at::IntArrayRef({0, 0}));
    EXPECT_THAT(padding.without(around), TensorEq(x));
    EXPECT_EQ(from_numbers(to_numbers(shape)), shape);
  }
}

}  // namespace
}  // namespace ddpm_eval::tensor
