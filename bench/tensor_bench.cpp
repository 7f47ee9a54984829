#include "base/core/error.h"
#include "base/core/seeds.h"
#include "base/tensor/convolution.h"
#include "base/tensor/noise.h"
#include "base/tensor/precision.h"
#include "base/tensor/product.h"
#include "bench/support.h"

#include <cmath>
#include <cstring>
#include <numbers>

#include <ATen/core/PhiloxRNGEngine.h>
#include <torch/types.h>

namespace ddpm_eval::tensor {
namespace {

using bench::expect_close;
using bench::measure;
using bench::normal;
using bench::once;
using bench::Peak;

at::Tensor by_blas(const at::Tensor& a, const at::Tensor& b) { return torch::mm(a, b); }
at::Tensor by_product(const at::Tensor& a, const at::Tensor& b) {
  return product(a, Operand::kPlain, b, Operand::kPlain);
}

/// Some elements of a product, summed one after the other.
template <class Number>
void check_product(const at::Tensor& got, const at::Tensor& a, const at::Tensor& b, double tolerance) {
  constexpr int64_t kTried = 64;
  const auto x = a.accessor<Number, 2>(), y = b.accessor<Number, 2>(), z = got.accessor<Number, 2>();
  auto found = torch::empty({kTried}, torch::kFloat64), wanted = torch::zeros({kTried}, torch::kFloat64);
  for (int64_t i = 0; i < kTried; ++i) {
    const int64_t row = i * 7919 % a.size(0), column = i * 104729 % b.size(1);
    double sum = 0;
    for (int64_t k = 0; k < a.size(1); ++k) {
      sum += double(x[row][k]) * double(y[k][column]);
    }
    wanted[i] = sum;
    found[i] = double(z[row][column]);
  }
  expect_close("a product", found, wanted, tolerance);
}

using Multiply = at::Tensor (*)(const at::Tensor& a, const at::Tensor& b);

template <class Number, Multiply kMultiply>
void time_product(benchmark::State& state) {
  const int64_t side = state.range(0);
  constexpr bool kDouble = std::is_same_v<Number, double>;
  const auto dtype = kDouble ? torch::kFloat64 : torch::kFloat32;
  const auto a = normal("a", {side, side}).to(dtype), b = normal("b", {side, side}).to(dtype);
  check_product<Number>(kMultiply(a, b), a, b, kDouble ? 1e-12 : 1e-5);
  measure(state, {.flop = 2 * std::pow(double(side), 3), .peak = kDouble ? Peak::kFloat64 : Peak::kFloat32},
          [&] { return kMultiply(a, b); });
}
// What `of_peak` is a share of: the faster one of both, in float64 BLAS, and the faster copy.
BENCHMARK(time_product<float, by_blas>)
    ->Name("peak_gemm/blas")
    ->ArgName("side")
    ->Arg(bench::kPeakSide)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(time_product<float, by_product>)
    ->Name("peak_gemm/onednn")
    ->ArgName("side")
    ->Arg(bench::kPeakSide)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(time_product<double, by_blas>)
    ->Name("peak_gemm/float64")
    ->ArgName("side")
    ->Arg(bench::kPeakSide)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
// The products of networks for points.
BENCHMARK(time_product<float, by_product>)
    ->Name("product")
    ->ArgName("side")
    ->Arg(128)
    ->Unit(benchmark::kMicrosecond)
    ->UseRealTime();

void by_copy(at::Tensor& to, const at::Tensor& from) { to.copy_(from); }

template <void (*kCopy)(at::Tensor& to, const at::Tensor& from)>
void peak_copy(benchmark::State& state) {
  const auto from = torch::arange(state.range(0) / 4, torch::kInt32);
  auto to = torch::zeros_like(from);
  once({state.range(0)}, [&] {
    kCopy(to, from);
    DDPM_CHECK(to.equal(from), "a copy differs from what it is of");
  });
  measure(state, {.bytes = 2.0 * double(state.range(0))}, [&] { kCopy(to, from); });
}
BENCHMARK(peak_copy<by_copy>)
    ->Name("peak_copy/libtorch")
    ->ArgName("bytes")
    ->Arg(bench::kPeakBytes)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(peak_copy<bench::copy_by_parts>)
    ->Name("peak_copy/memcpy")
    ->ArgName("bytes")
    ->Arg(bench::kPeakBytes)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

/// Box-Muller on the words of LibTorch's Philox, in float64.
at::Tensor normals_one_by_one(uint64_t seed, int64_t rows, int64_t length) {
  auto all = torch::empty({rows, length}, torch::kFloat64);
  auto* number = all.data_ptr<double>();
  for (int64_t row = 0; row < rows; ++row) {
    at::philox_engine engine(core::stream_key(seed, "bench"), static_cast<uint64_t>(row), 0);
    for (int64_t i = 0; i < length; i += 2) {
      const double u = (double(engine() >> 8) + 1) * 0x1p-24;
      const double angle = 2 * std::numbers::pi * double(engine() >> 8) * 0x1p-24;
      *number++ = std::sqrt(-2 * std::log(u)) * std::cos(angle);
      *number++ = std::sqrt(-2 * std::log(u)) * std::sin(angle);
    }
  }
  return all;
}

void noise(benchmark::State& state) {
  const int64_t rows = state.range(0);
  const std::vector<int64_t> shape = {3, 32, 32};
  const auto indices = index_range(0, rows);
  const NoiseKey key{1, "bench"};
  once({rows}, [&] {
    expect_close("noise", normal_rows(key, indices, 0, shape).flatten(1),
                 normals_one_by_one(1, rows, 3 * 32 * 32), 1e-6);
  });
  const double numbers = double(rows) * 3 * 32 * 32;
  measure(state, {.items = numbers, .bytes = 4 * numbers},
          [&] { return normal_rows(key, indices, 0, shape); });
}
BENCHMARK(noise)->ArgName("images")->Arg(128)->Unit(benchmark::kMicrosecond)->UseRealTime();

void dropout_mask(benchmark::State& state) {
  constexpr double kRate = 0.1;
  const int64_t rows = state.range(0);
  const std::vector<int64_t> shape = {256, 16, 16};
  const auto indices = index_range(0, rows);
  const NoiseKey key{1, "bench"};
  once({rows}, [&] {
    const auto drawn = uniform_rows(key, indices, 0, shape) >= kRate;
    expect_close("a dropout mask", keep_rows(key, indices, 0, shape, kRate), drawn, 0);
    const double kept = drawn.to(torch::kFloat64).mean().item<double>();
    expect_close("the share kept", kept, 1 - kRate, 0.01);
  });
  const double numbers = double(rows) * 256 * 16 * 16;
  measure(state, {.items = numbers, .bytes = numbers},
          [&] { return keep_rows(key, indices, 0, shape, kRate); });
}
BENCHMARK(dropout_mask)->ArgName("images")->Arg(128)->Unit(benchmark::kMicrosecond)->UseRealTime();

/// A convolution of the paper's U-Net on eight images, whose side stays the same or, with a stride of 2,
/// halves.
struct Problem {
  at::Tensor x, weight, bias, dy;
  ConvolutionShape shape;
  double flop;  ///< of one pass, as a direct convolution does it

  Problem(int64_t channels, int64_t side, int64_t kernel, int64_t stride, at::ScalarType dtype) {
    constexpr int64_t kBatch = 8;
    const int64_t out_side = side / stride;
    const auto last = at::MemoryFormat::ChannelsLast;
    const double inputs = double(channels * kernel * kernel);
    x = normal("x", {kBatch, channels, side, side}).to(dtype).contiguous(last);
    dy = normal("dy", {kBatch, channels, out_side, out_side}).to(dtype).contiguous(last);
    weight = normal("weight", {channels, channels, kernel, kernel}) / std::sqrt(inputs);
    bias = normal("bias", {channels});
    const int64_t end = kernel / 2, begin = stride == 1 ? end : 0;
    shape = {.stride = stride, .pad_begin = {begin, begin}, .pad_end = {end, end}};
    flop = 2 * inputs * double(dy.numel());
  }

  /// By LibTorch's operator, padded beforehand.
  at::Tensor exact(const at::Tensor& wide, const at::Tensor& wide_weight) const {
    const int64_t begin = shape.pad_begin[0], end = shape.pad_end[0];
    return torch::conv2d(torch::constant_pad_nd(wide, {begin, end, begin, end}), wide_weight,
                         bias.to(torch::kFloat64), shape.stride);
  }
};

Problem problem_of(const benchmark::State& state) {
  return {state.range(0), state.range(1), state.range(2), state.range(3),
          dtype_of(state.range(4) == 0 ? Precision::kFloat32 : Precision::kBFloat16)};
}

bench::Work work_of(const Problem& problem, double passes) {
  return {.items = double(problem.x.size(0)),
          .flop = passes * problem.flop,
          .peak = problem.x.scalar_type() == torch::kFloat32 ? Peak::kFloat32 : Peak::kNone};
}

void check_convolution(const Problem& p, double tolerance) {
  const auto x = p.x.detach().clone().requires_grad_(true);
  const auto weight = p.weight.detach().clone().requires_grad_(true);
  const auto y = convolution(x, weight, p.bias, p.shape, p.x.scalar_type());
  y.backward(p.dy);
  const auto wide = p.x.to(torch::kFloat64).contiguous().requires_grad_(true);
  const auto wide_weight = p.weight.to(torch::kFloat64).requires_grad_(true);
  const auto exact = p.exact(wide, wide_weight);
  exact.backward(p.dy.to(torch::kFloat64));
  expect_close("a convolution", y.detach(), exact.detach(), tolerance);
  expect_close("a convolution's gradient", x.grad(), wide.grad(), tolerance);
  expect_close("a convolution's weight gradient", weight.grad(), wide_weight.grad(), tolerance);
  const at::NoGradGuard no_grad;
  expect_close("a frozen convolution", FrozenConvolution(p.weight, p.bias, p.shape)(p.x, p.x.scalar_type()),
               exact.detach(), tolerance);
}

void check_once(const benchmark::State& state, const Problem& problem) {
  once({state.range(0), state.range(1), state.range(2), state.range(3), state.range(4)},
       [&] { check_convolution(problem, state.range(4) == 0 ? 1e-5 : 1e-2); });
}

/// As networks evaluate: by Winograd's filtering where that suits, so that it may be faster than the peak.
void convolution_forward(benchmark::State& state) {
  const auto problem = problem_of(state);
  check_once(state, problem);
  const at::NoGradGuard no_grad;
  const FrozenConvolution layer(problem.weight, problem.bias, problem.shape);
  measure(state, work_of(problem, 1), [&] { return layer(problem.x, problem.x.scalar_type()); });
}

/// As networks train: forward, the gradient of the input, that of the weights.
void convolution_train(benchmark::State& state) {
  const auto problem = problem_of(state);
  check_once(state, problem);
  const auto x = problem.x.detach().clone().requires_grad_(true);
  const auto weight = problem.weight.detach().clone().requires_grad_(true);
  measure(state, work_of(problem, 3),
          [&] { convolution(x, weight, problem.bias, problem.shape, x.scalar_type()).backward(problem.dy); });
}

void paper_shapes(benchmark::internal::Benchmark* registered) {
  registered->ArgNames({"channels", "side", "kernel", "stride", "bf16"})
      ->Args({128, 32, 3, 1, 0})
      ->Args({256, 16, 3, 1, 0})
      ->Args({256, 16, 1, 1, 0})
      ->Args({256, 16, 3, 2, 0})
      ->Args({256, 16, 3, 1, 1})
      ->Unit(benchmark::kMicrosecond)
      ->UseRealTime();
}
BENCHMARK(convolution_forward)->Apply(paper_shapes);
BENCHMARK(convolution_train)->Apply(paper_shapes);

}  // namespace
}  // namespace ddpm_eval::tensor
