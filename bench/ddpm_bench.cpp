#include "base/core/error.h"
#include "base/tensor/noise.h"
#include "base/tensor/runtime.h"
#include "base/training/checkpoint.h"
#include "base/training/loop.h"
#include "ddpm/gated_mlp.h"
#include "ddpm/layers.h"
#include "ddpm/objective.h"
#include "ddpm/schedule.h"
#include "ddpm/unet.h"

#include <cmath>
#include <cstdlib>

#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <torch/types.h>

// Usage: [DDPM_EVAL_THREADS=N] bench_ddpm [--benchmark_filter=...]. Items per second are images per second,
// or updates per second for points. What is timed is first compared with an obvious computation; a difference
// ends the program.
namespace ddpm_eval::ddpm {
namespace {

constexpr int64_t kSide = 32;
constexpr int64_t kColours = 3;
constexpr int64_t kChain = 1000;
constexpr int64_t kPointsChain = 100;

at::Tensor normal(std::string_view purpose, at::IntArrayRef shape) {
  return tensor::normal_rows({1, purpose}, tensor::index_range(0, shape[0]), 0, shape.slice(1));
}

void expect_close(const char* what, const at::Tensor& got, const at::Tensor& wanted, double tolerance) {
  const auto exact = wanted.to(torch::kFloat64);
  const double error = (got.to(torch::kFloat64) - exact).norm().item<double>() / exact.norm().item<double>();
  DDPM_CHECK(error <= tolerance, "{} differs from its reference by {:.2e} of its norm", what, error);
}

/// Layers that start near zero would hide every mistake behind them.
void wake(const tensor::NamedTensors& parameters) {
  const at::NoGradGuard no_grad;
  for (const auto& [name, parameter] : parameters) {
    if (parameter.dim() >= 2 && parameter.abs().max().item<double>() < 1e-4) {
      parameter.copy_(normal(name, parameter.sizes()).mul_(1 / std::sqrt(double(parameter[0].numel()))));
    }
  }
}

std::unique_ptr<UNet> make_unet(double dropout) {
  UNetConfig config;
  config.dropout = dropout;
  const UNetShape shape{.in_channels = kColours, .out_channels = kColours, .image_side = kSide};
  auto net = std::make_unique<UNet>(config, shape, ParameterMaker(1));
  wake(net->parameters());
  return net;
}

tensor::Precision precision_at(const benchmark::State& state, size_t argument) {
  return state.range(argument) == 0 ? tensor::Precision::kFloat32 : tensor::Precision::kBFloat16;
}

/// How far results in this precision may be from exact ones, of their norm.
double tolerance_of(tensor::Precision precision) {
  return precision == tensor::Precision::kFloat32 ? 1e-5 : 3e-2;
}

at::Tensor direction(const char* name, const at::Tensor& like) {
  return tensor::normal_rows({2, name}, tensor::index_range(0, like.size(0)), 0, like.sizes().slice(1));
}

void unet_forward(benchmark::State& state) {
  const int64_t batch = state.range(0);
  const auto precision = precision_at(state, 1);
  const at::NoGradGuard no_grad;
  const auto net = make_unet(0);
  const auto prepared = net->prepare(precision);
  const auto x = normal("x", {batch, kColours, kSide, kSide});
  const auto t = torch::arange(batch, torch::kInt64) * (kChain / batch);
  expect_close("the U-Net", prepared->forward(x, t).narrow(0, batch - 1, 1),
               net->forward(x.narrow(0, batch - 1, 1), t.narrow(0, batch - 1, 1)), tolerance_of(precision));
  for (auto _ : state) {
    benchmark::DoNotOptimize(prepared->forward(x, t).data_ptr());
  }
  state.SetItemsProcessed(state.iterations() * batch);
}
BENCHMARK(unet_forward)
    ->ArgNames({"batch", "bf16"})
    ->ArgsProduct({{8, 50}, {0, 1}})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

/// Both passes of a layer on [batch, channels, side, side], checked against `exact` in float64 beforehand.
template <class Layer, class Exact>
void layer_passes(benchmark::State& state, int64_t channels, int64_t side, const Layer& layer,
                  const Exact& exact) {
  constexpr int64_t kBatch = 8;
  const auto precision = precision_at(state, 0);
  const auto dtype = tensor::dtype_of(precision);
  auto x = to_channels_last(normal("x", {kBatch, channels, side, side})).to(dtype).requires_grad_(true);
  auto wide = x.detach().to(torch::kFloat64).contiguous().requires_grad_(true);
  const auto dy = to_channels_last(direction("dy", wide)).to(dtype);
  layer(x).backward(dy);
  exact(wide).backward(dy.to(torch::kFloat64));
  expect_close("a layer's output", layer(x).detach(), exact(wide).detach(), tolerance_of(precision));
  expect_close("a layer's gradient", x.grad(), wide.grad(), tolerance_of(precision));
  for (auto _ : state) {
    layer(x).backward(dy);
  }
  state.SetItemsProcessed(state.iterations() * kBatch);
}

void group_norm_swish(benchmark::State& state) {
  const int64_t channels = state.range(1), side = state.range(2);
  const auto weight = normal("weight", {channels}) + 1, bias = normal("bias", {channels});
  layer_passes(
      state, channels, side,
      [&](const at::Tensor& x) { return group_norm(x, 32, weight, bias, Activation::kSwish); },
      [&](const at::Tensor& x) {
        const auto parts = x.reshape({x.size(0), 32, -1});
        const auto mean = parts.mean(2, true);
        const auto variance = (parts - mean).pow(2).mean(2, true);
        const auto z = ((parts - mean) / (variance + 1e-6).sqrt()).view_as(x) * weight.view({1, -1, 1, 1}) +
                       bias.view({1, -1, 1, 1});
        return z / (1 + (-z).exp());
      });
}
BENCHMARK(group_norm_swish)
    ->ArgNames({"bf16", "channels", "side"})
    ->ArgsProduct({{0, 1}, {128}, {32}})
    ->ArgsProduct({{0, 1}, {256}, {16}})
    ->Unit(benchmark::kMicrosecond)
    ->UseRealTime();

void attention(benchmark::State& state) {
  constexpr int64_t kChannels = 256;
  ParameterMaker maker(1);
  const AttentionBlock block(maker, "attention", kChannels, 32);
  const auto parameters = maker.take();
  wake(parameters);
  const auto of = [&](const char* name) {
    return tensor::find(parameters, std::string("attention.") + name).to(torch::kFloat64);
  };
  layer_passes(
      state, kChannels, 16, [&](const at::Tensor& x) { return block(x); },
      [&](const at::Tensor& x) {
        const auto h = torch::group_norm(x, 32, of("norm.weight"), of("norm.bias"), 1e-6);
        const auto map = [&](const std::string& name, const at::Tensor& v) {
          return torch::einsum("oi,nip->nop", {of((name + ".weight").c_str()).flatten(1), v}) +
                 of((name + ".bias").c_str()).view({1, -1, 1});
        };
        const auto tokens = h.flatten(2);
        const auto scores = torch::einsum("ncp,ncq->npq", {map("q", tokens), map("k", tokens)}) / 16.0;
        const auto raised = (scores - scores.amax(2, true)).exp();
        const auto mixed = torch::einsum("npq,ncq->ncp", {raised / raised.sum(2, true), map("v", tokens)});
        return x + map("proj_out", mixed).view_as(x);
      });
}
BENCHMARK(attention)->ArgName("bf16")->Arg(0)->Arg(1)->Unit(benchmark::kMicrosecond)->UseRealTime();

/// The gradient that a task leaves, against the difference of its loss along a random direction.
void check_gradients(training::TrainTask& task, double tolerance) {
  const at::AutoGradMode with_gradients(true);
  constexpr double kStep = 2e-3;
  training::StepLog unused;
  task.loss(0, unused).backward();
  double slope = 0, length = 0;
  std::vector<at::Tensor> moves;
  for (const auto& [name, parameter] : task.parameters()) {
    // Along the gradient, where the loss changes most.
    const auto gradient = parameter.grad().clone();
    slope += gradient.pow(2).sum().item<double>();
    moves.push_back(gradient);
    at::Tensor(parameter).mutable_grad() = at::Tensor();
  }
  length = std::sqrt(slope);
  const at::NoGradGuard no_grad;
  const auto loss_at = [&](double distance) {
    size_t i = 0;
    for (const auto& [name, parameter] : task.parameters()) {
      at::Tensor(parameter).add_(moves[i++], distance / length);
    }
    return task.loss(0, unused).item<double>();
  };
  const double above = loss_at(kStep), below = loss_at(-2 * kStep);
  loss_at(kStep);
  const double difference = (above - below) / (2 * kStep);
  DDPM_CHECK(std::abs(difference - length) <= tolerance * length,
             "the loss changes by {:.6g} where its gradient says {:.6g}", difference, length);
}

/// Steps of the training loop as `train` runs it: batch, loss, gradients, clipping, Adam, averages.
void run_steps(benchmark::State& state, training::TrainTask& task, int64_t steps_at_once) {
  training::LoopConfig config;
  config.log_every = 0;
  config.checkpoint_every = 0;
  auto train_state = training::new_state(task, config);
  while (state.KeepRunningBatch(steps_at_once)) {
    config.steps = train_state.step + steps_at_once;
    training::run_loop(task, config, {}, train_state);
  }
}

void unet_train(benchmark::State& state) {
  const int64_t batch = state.range(0);
  const auto precision = precision_at(state, 1);
  const auto net = make_unet(0.1);
  const auto data =
      (normal("images", {4 * batch, kColours, kSide, kSide}) * 60 + 128).clamp(0, 255).to(torch::kUInt8);
  DdpmTask task(*net, DiffusionProcess(make_betas({})), data, {.batch_size = batch, .precision = precision});
  check_gradients(task, precision == tensor::Precision::kFloat32 ? 0.02 : 0.2);
  run_steps(state, task, 1);
  state.SetItemsProcessed(state.iterations() * batch);
}
BENCHMARK(unet_train)
    ->ArgNames({"batch", "bf16"})
    ->ArgsProduct({{8}, {0, 1}})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

void points_train(benchmark::State& state) {
  const int64_t batch = state.range(0);
  const GatedMlp net({}, 2, 2, kPointsChain, ParameterMaker(1));
  DdpmTask task(net, DiffusionProcess(make_betas({.steps = kPointsChain})), normal("points", {10'000, 2}),
                {.batch_size = batch, .flip = false});
  check_gradients(task, 0.02);
  run_steps(state, task, 100);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(points_train)->ArgName("batch")->Arg(128)->Unit(benchmark::kMicrosecond)->UseRealTime();

}  // namespace
}  // namespace ddpm_eval::ddpm

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) {
    return 1;
  }
  const char* threads = std::getenv("DDPM_EVAL_THREADS");
  ddpm_eval::tensor::configure_runtime(threads == nullptr ? 0 : std::atoi(threads));
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
