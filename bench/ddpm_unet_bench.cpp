#include "base/core/error.h"
#include "base/training/checkpoint.h"
#include "base/training/loop.h"
#include "bench/ddpm_networks.h"
#include "ddpm/gated_mlp.h"
#include "ddpm/objective.h"
#include "ddpm/schedule.h"

#include <cmath>

#include <torch/types.h>

// Networks forward, and the training loop around them. Items are images, or updates for points.
namespace ddpm_eval::ddpm {
namespace {

using bench::expect_close;
using bench::normal;
using bench::once;
using bench_networks::paper_unet;
using bench_networks::peak_of;
using bench_networks::precision_at;
using bench_networks::small_unet;
using bench_networks::UNetCase;

constexpr int64_t kChain = 1000;
constexpr int64_t kPointsChain = 100;

/// Prepared for many evaluations, checked against the network as it trains on one image alone.
void forward(benchmark::State& state, const UNetCase& unet) {
  const int64_t batch = state.range(0);
  const auto precision = precision_at(state, 1);
  const at::NoGradGuard no_grad;
  const auto net = unet.make();
  const auto prepared = net->prepare(precision);
  const auto x = normal("x", unet.rows(batch));
  const auto t = torch::arange(batch, torch::kInt64) * (kChain / batch);
  once({unet.shape.image_side, batch, state.range(1)}, [&] {
    expect_close("the U-Net", prepared->forward(x, t).narrow(0, batch - 1, 1),
                 net->forward(x.narrow(0, batch - 1, 1), t.narrow(0, batch - 1, 1)),
                 bench_networks::tolerance_of(precision));
  });
  bench::measure(state,
                 {.items = double(batch), .flop = double(batch) * unet.flop(), .peak = peak_of(precision)},
                 [&] { return prepared->forward(x, t); });
}

void unet_forward(benchmark::State& state) { forward(state, paper_unet(0)); }
BENCHMARK(unet_forward)
    ->ArgNames({"batch", "bf16"})
    ->ArgsProduct({{8, 50}, {0, 1}})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

// Not "small_unet_forward": scripts ask for what contains "unet_forward/".
void unet_small_forward(benchmark::State& state) { forward(state, small_unet()); }
BENCHMARK(unet_small_forward)
    ->ArgNames({"batch", "bf16"})
    ->ArgsProduct({{100}, {0, 1}})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

/// The gradient that a task leaves, against the difference of its loss along it.
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
void run_steps(benchmark::State& state, training::TrainTask& task, int64_t steps_at_once,
               const bench::Work& work) {
  training::LoopConfig config;
  config.log_every = 0;
  config.checkpoint_every = 0;
  auto train_state = training::new_state(task, config);
  const auto begin = std::chrono::steady_clock::now();
  while (state.KeepRunningBatch(steps_at_once)) {
    config.steps = train_state.step + steps_at_once;
    training::run_loop(task, config, {}, train_state);
  }
  bench::report(state, work, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
}

/// The backward pass takes twice what the forward pass takes.
constexpr double kTrainingPasses = 3;

void train(benchmark::State& state, const UNetCase& unet) {
  const int64_t batch = state.range(0);
  const auto precision = precision_at(state, 1);
  const auto net = unet.make();
  const auto data = (normal("images", unet.rows(4 * batch)) * 60 + 128).clamp(0, 255).to(torch::kUInt8);
  DdpmTask task(*net, DiffusionProcess(make_betas({})), data, {.batch_size = batch, .precision = precision});
  once({unet.shape.image_side, batch, state.range(1)},
       [&] { check_gradients(task, precision == tensor::Precision::kFloat32 ? 0.02 : 0.2); });
  run_steps(state, task, 1,
            {.items = double(batch),
             .flop = kTrainingPasses * double(batch) * unet.flop(),
             .peak = peak_of(precision)});
}

void unet_train(benchmark::State& state) { train(state, paper_unet(0.1)); }
BENCHMARK(unet_train)
    ->ArgNames({"batch", "bf16"})
    ->ArgsProduct({{8}, {0, 1}})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

void unet_small_train(benchmark::State& state) { train(state, small_unet()); }
BENCHMARK(unet_small_train)
    ->ArgNames({"batch", "bf16"})
    ->ArgsProduct({{64}, {0, 1}})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

void points_train(benchmark::State& state) {
  const int64_t batch = state.range(0);
  const GatedMlp net({}, 2, 2, kPointsChain, ParameterMaker(1));
  DdpmTask task(net, DiffusionProcess(make_betas({.steps = kPointsChain})), normal("points", {10'000, 2}),
                {.batch_size = batch, .flip = false});
  once({batch}, [&] { check_gradients(task, 0.02); });
  run_steps(state, task, 100, {.items = 1});
}
BENCHMARK(points_train)->ArgName("batch")->Arg(128)->Unit(benchmark::kMicrosecond)->UseRealTime();

}  // namespace
}  // namespace ddpm_eval::ddpm
