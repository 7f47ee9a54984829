#include "base/training/adam.h"
#include "base/training/ema.h"
#include "base/training/gradient.h"
#include "bench/support.h"

#include <cmath>

#include <torch/types.h>

namespace ddpm_eval::training {
namespace {

using bench::expect_close;
using bench::measure;
using bench::once;

constexpr int64_t kStep = 10;
constexpr double kRate = 2e-4;
constexpr double kGradScale = 0.5;

// Few enough numbers for a cache, as a network for points has, and too many.
constexpr int64_t kFew = 1 << 15;
constexpr int64_t kMany = 1 << 24;

/// `bytes_each` of every number go through memory unless a cache holds them.
bench::Work work_on(int64_t count, double bytes_each) {
  return {.items = double(count),
          .bytes = bytes_each * double(count),
          .peak = count > kFew ? bench::Peak::kFloat32 : bench::Peak::kNone};
}

/// One tensor of `count` numbers with a gradient.
tensor::NamedTensors parameters(int64_t count) {
  auto weight = bench::normal("weight", {1, count}).requires_grad_(true);
  weight.mutable_grad() = bench::normal("gradient", {1, count});
  return {{"weight", weight}};
}

/// Kingma & Ba 2015, algorithm 1, number by number; moments start as those of two equal steps.
void check_adam(const tensor::NamedTensors& all) {
  const AdamOptions options;
  const auto before = all[0].tensor.detach().clone();
  Adam adam(all, options);
  adam.update(all, 0, kRate, kGradScale);
  adam.update(all, 1, kRate, kGradScale);
  auto wanted = before.to(torch::kFloat64);
  auto* w = wanted.data_ptr<double>();
  const auto* g = all[0].tensor.grad().data_ptr<float>();
  for (int64_t i = 0; i < wanted.numel(); ++i) {
    double m = 0, v = 0;
    for (int step = 1; step <= 2; ++step) {
      const double gradient = kGradScale * double(g[i]);
      m = options.beta1 * m + (1 - options.beta1) * gradient;
      v = options.beta2 * v + (1 - options.beta2) * gradient * gradient;
      const double m_hat = m / (1 - std::pow(options.beta1, step));
      const double v_hat = v / (1 - std::pow(options.beta2, step));
      w[i] -= kRate * m_hat / (std::sqrt(v_hat) + options.eps);
    }
  }
  // The moves alone, which are small beside the weights: float32 keeps four digits of them.
  expect_close("Adam", all[0].tensor.detach().to(torch::kFloat64) - before, wanted - before, 1e-3);
}

void adam(benchmark::State& state) {
  const at::NoGradGuard no_grad;
  const int64_t count = state.range(0);
  once({}, [] { check_adam(parameters(10'000)); });
  const auto all = parameters(count);
  Adam optimiser(all, {});
  // Weight and both moments are read and written, the gradient is read.
  measure(state, work_on(count, 28), [&] { optimiser.update(all, kStep, kRate, kGradScale); });
}

void ema(benchmark::State& state) {
  const at::NoGradGuard no_grad;
  const int64_t count = state.range(0);
  const EmaOptions options{.decay = 0.9, .ramp = false};
  once({}, [&] {
    const auto few = parameters(10'000);
    Ema average(few, {}, options);
    const auto before = few[0].tensor.detach().to(torch::kFloat64);
    few[0].tensor.mul_(3);
    average.update(few, {}, kStep);
    expect_close("the average", average.parameters()[0].tensor, before * 0.9 + before * 3 * 0.1, 1e-6);
  });
  const auto all = parameters(count);
  Ema average(all, {}, options);
  measure(state, work_on(count, 12), [&] { average.update(all, {}, kStep); });
}

void norm_of_gradients(benchmark::State& state) {
  const auto all = parameters(state.range(0));
  once({state.range(0)}, [&] {
    const auto* g = all[0].tensor.grad().data_ptr<float>();
    double sum = 0;
    for (int64_t i = 0; i < state.range(0); ++i) {
      sum += double(g[i]) * double(g[i]);
    }
    expect_close("the norm of the gradients", gradient_norm(all), std::sqrt(sum), 1e-9);
  });
  measure(state, work_on(state.range(0), 4), [&] { return gradient_norm(all); });
}

BENCHMARK(adam)->ArgName("numbers")->Arg(kFew)->Arg(kMany)->Unit(benchmark::kMicrosecond)->UseRealTime();
BENCHMARK(ema)->ArgName("numbers")->Arg(kFew)->Arg(kMany)->Unit(benchmark::kMicrosecond)->UseRealTime();
BENCHMARK(norm_of_gradients)->ArgName("numbers")->Arg(kMany)->Unit(benchmark::kMicrosecond)->UseRealTime();

}  // namespace
}  // namespace ddpm_eval::training
