#include "base/core/error.h"
#include "base/tensor/noise.h"
#include "bench/ddpm_networks.h"
#include "ddpm/process.h"
#include "ddpm/sampler.h"
#include "ddpm/schedule.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>

#include <torch/types.h>

// Schedules, tables and samplers.
namespace ddpm_eval::ddpm {
namespace {

using bench::expect_close;
using bench::measure;
using bench::once;

constexpr int64_t kChain = 1000;

at::Tensor float64(const std::vector<double>& values) { return torch::tensor(values, torch::kFloat64); }

/// The tables of eq. 4 and 7 straight from the definitions, by products and sums of long doubles.
void check_tables(const DiffusionProcess& process, const std::vector<double>& betas) {
  std::vector<double> alpha_bar, beta_tilde, posterior_x_0, posterior_x_t;
  long double product = 1;
  for (const double beta : betas) {
    const long double previous = product;
    product *= 1 - static_cast<long double>(beta);
    alpha_bar.push_back(static_cast<double>(product));
    beta_tilde.push_back(static_cast<double>((1 - previous) / (1 - product) * beta));
    posterior_x_0.push_back(static_cast<double>(std::sqrt(previous) * beta / (1 - product)));
    posterior_x_t.push_back(
        static_cast<double>(std::sqrt(1 - static_cast<long double>(beta)) * (1 - previous) / (1 - product)));
  }
  const auto& tables = process.tables();
  expect_close("alpha_bar", float64(tables.alpha_bar), float64(alpha_bar), 1e-10);
  expect_close("beta_tilde", float64(tables.beta_tilde), float64(beta_tilde), 1e-10);
  expect_close("the weight of x_0", float64(tables.posterior_x_0), float64(posterior_x_0), 1e-10);
  expect_close("the weight of x_t", float64(tables.posterior_x_t), float64(posterior_x_t), 1e-10);
}

/// Nichol & Dhariwal 2021, eq. 17.
std::vector<double> cosine_betas(int64_t steps) {
  const auto f = [&](int64_t t) {
    return std::pow(std::cos((double(t) / double(steps) + 0.008) / 1.008 * std::numbers::pi / 2), 2);
  };
  std::vector<double> betas;
  for (int64_t t = 0; t < steps; ++t) {
    betas.push_back(std::min(1 - f(t + 1) / f(t), 0.999));
  }
  return betas;
}

void schedule(benchmark::State& state) {
  const ScheduleConfig config{.kind = "cosine", .steps = state.range(0)};
  once({state.range(0)}, [&] {
    const auto betas = cosine_betas(state.range(0));
    expect_close("the cosine schedule", float64(make_betas(config)), float64(betas), 1e-9);
    check_tables(DiffusionProcess(betas), betas);
  });
  measure(state, {.items = double(state.range(0)), .family = "schedule", .n = state.range(0)},
          [&] { return DiffusionProcess(make_betas(config)); });
}
BENCHMARK(schedule)
    ->ArgName("steps")
    ->Arg(1000)
    ->Arg(4000)
    ->Arg(16'000)
    ->Unit(benchmark::kMicrosecond)
    ->UseRealTime()
    ->Complexity(benchmark::oN);

void q_sample(benchmark::State& state) {
  const int64_t batch = state.range(0);
  const std::vector<int64_t> shape = {batch, 3, 32, 32};
  const DiffusionProcess process(make_betas({}));
  const auto x_0 = bench::normal("x_0", shape), eps = bench::normal("eps", shape);
  const auto t = torch::arange(batch, torch::kInt64) * (kChain / batch);
  once({batch}, [&] {
    auto wanted = torch::empty(shape, torch::kFloat64);
    for (int64_t i = 0; i < batch; ++i) {
      double alpha_bar = 1;
      for (int64_t step = 0; step <= t[i].item<int64_t>(); ++step) {
        alpha_bar *= 1 - (1e-4 + (0.02 - 1e-4) * double(step) / (kChain - 1));
      }
      wanted[i] = x_0[i].to(torch::kFloat64) * std::sqrt(alpha_bar) + eps[i] * std::sqrt(1 - alpha_bar);
    }
    expect_close("q_sample()", process.q_sample(x_0, t, eps), wanted, 1e-6);
  });
  measure(state, {.items = double(batch), .bytes = 12.0 * double(x_0.numel())},
          [&] { return process.q_sample(x_0, t, eps); });
}
BENCHMARK(q_sample)->ArgName("images")->Arg(1024)->Unit(benchmark::kMicrosecond)->UseRealTime();

/// eps_hat for x_t, in whatever dtype.
using Eps = std::function<at::Tensor(const at::Tensor& x_t, int64_t t)>;

/// A network that costs next to nothing, so that the sampler itself is what is timed.
class HalfOfIt final : public DiffusionNetwork {
 public:
  const tensor::NamedTensors& parameters() const override { return none_; }

 protected:
  at::Tensor run(const at::Tensor& x_t, const at::Tensor& /*t*/,
                 const std::optional<TrainingPass>& /*pass*/) const override {
    return x_t * 0.5;
  }

 private:
  tensor::NamedTensors none_;
};

/// The sampler's papers step by step in float64, on the linear schedule and uniformly spaced steps.
at::Tensor sample_slowly(const Eps& eps_of, const SampleOptions& options, at::IntArrayRef shape) {
  std::vector<double> alpha_bars(kChain);
  double product = 1;
  for (int64_t t = 0; t < kChain; ++t) {
    product *= 1 - (1e-4 + (0.02 - 1e-4) * double(t) / (kChain - 1));
    alpha_bars[size_t(t)] = product;
  }
  const auto indices = tensor::index_range(0, shape[0]);
  const auto row = shape.slice(1);
  auto x = tensor::normal_rows({options.seed, "sample.x_T"}, indices, 0, row).to(torch::kFloat64);
  at::Tensor previous_x_0;
  double previous_h = 0;
  for (int64_t i = options.steps - 1; i >= 0; --i) {
    const auto t_of = [&](int64_t j) {
      return size_t(std::lround(double(j) * (kChain - 1) / double(options.steps - 1)));
    };
    const double now = alpha_bars[t_of(i)], next = i > 0 ? alpha_bars[t_of(i - 1)] : 1;
    const auto eps = eps_of(x, int64_t(t_of(i)));
    const auto x_0 = ((x - eps * std::sqrt(1 - now)) / std::sqrt(now)).clamp(-1, 1);
    if (i == 0) {
      return x_0;
    }
    if (options.sampler == Sampler::kAncestral) {  // Ho et al. 2020, eq. 7, sigma^2 = beta
      const double beta = 1 - now / next;
      const auto noise = tensor::normal_rows({options.seed, "sample.noise"}, indices, int64_t(t_of(i)), row);
      x = x_0 * (std::sqrt(next) * beta / (1 - now)) + x * (std::sqrt(1 - beta) * (1 - next) / (1 - now)) +
          noise * std::sqrt(beta);
    } else if (options.sampler == Sampler::kDdim) {  // Song et al. 2021, eq. 12, eta = 0
      const auto towards = (x - x_0 * std::sqrt(now)) / std::sqrt(1 - now);
      x = x_0 * std::sqrt(next) + towards * std::sqrt(1 - next);
    } else {  // Lu et al. 2022, algorithm 2
      const double h = std::log(std::sqrt(next / (1 - next))) - std::log(std::sqrt(now / (1 - now)));
      const double weight = previous_x_0.defined() ? h / (2 * previous_h) : 0;
      const auto d = previous_x_0.defined() ? x_0 * (1 + weight) - previous_x_0 * weight : x_0;
      x = x * std::sqrt((1 - next) / (1 - now)) - d * (std::sqrt(next) * (std::exp(-h) - 1));
      previous_x_0 = x_0;
      previous_h = h;
    }
  }
  return x;
}

/// Items are images times steps.
void run_sampler(benchmark::State& state, const DiffusionNetwork& network, const Eps& eps_of,
                 const SampleOptions& options, const std::vector<int64_t>& shape, double tolerance) {
  const DiffusionProcess process(make_betas({}));
  const auto indices = tensor::index_range(0, shape[0]);
  const auto row = at::IntArrayRef(shape).slice(1);
  const auto run = [&] { return sample(network, process, {}, options, indices, row); };
  once({state.range(0), state.range(1), int64_t(options.sampler), shape[1]},
       [&] { expect_close("the sampler", run(), sample_slowly(eps_of, options, shape), tolerance); });
  measure(state, {.items = double(shape[0] * options.steps)}, run);
}

SampleOptions options_of(const benchmark::State& state, Sampler sampler) {
  return {.sampler = sampler, .steps = state.range(1), .micro_batch = state.range(0)};
}

void sampler(benchmark::State& state, Sampler kind) {
  run_sampler(
      state, HalfOfIt(), [](const at::Tensor& x, int64_t) { return x * 0.5; }, options_of(state, kind),
      {state.range(0), 3, 32, 32}, 1e-4);
}

void small_size(benchmark::internal::Benchmark* registered) {
  registered->ArgNames({"images", "steps"})->Args({50, 50})->Unit(benchmark::kMillisecond)->UseRealTime();
}
BENCHMARK_CAPTURE(sampler, ancestral, Sampler::kAncestral)->Apply(small_size);
BENCHMARK_CAPTURE(sampler, ddim, Sampler::kDdim)->Apply(small_size);
BENCHMARK_CAPTURE(sampler, dpm_solver, Sampler::kDpmSolver)->Apply(small_size);

/// With the small U-Net, as `sample` runs it.
void sampler_unet_small(benchmark::State& state) {
  const at::NoGradGuard no_grad;
  const auto unet = bench_networks::small_unet();
  const auto net = unet.make();
  const auto eps_of = [&](const at::Tensor& x, int64_t t) {
    const auto ts = torch::full({x.size(0)}, t, torch::kInt64);
    return net->forward(x.to(torch::kFloat32), ts).to(torch::kFloat64);
  };
  run_sampler(state, *net, eps_of, options_of(state, Sampler::kDdim), unet.rows(state.range(0)), 1e-3);
}
BENCHMARK(sampler_unet_small)
    ->ArgNames({"images", "steps"})
    ->Args({50, 5})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace
}  // namespace ddpm_eval::ddpm
