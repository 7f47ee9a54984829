#include "base/tensor/noise.h"
#include "bench/ddpm_networks.h"
#include "ddpm/layers.h"

#include <cmath>

#include <torch/types.h>

// Both passes of the U-Net's layers; items are images.
namespace ddpm_eval::ddpm {
namespace {

using bench::expect_close;
using bench::measure;
using bench::normal;
using bench::once;
using bench_networks::peak_of;
using bench_networks::precision_at;
using bench_networks::tolerance_of;

constexpr int64_t kBatch = 8;

at::Tensor direction(const char* name, const at::Tensor& like) {
  return tensor::normal_rows({2, name}, tensor::index_range(0, like.size(0)), 0, like.sizes().slice(1));
}

/// Both passes of a layer on [kBatch, channels, side, side], checked against `exact` in float64 beforehand.
template <class Layer, class Exact>
void layer_passes(benchmark::State& state, int64_t channels, int64_t side, bench::Work work,
                  const Layer& layer, const Exact& exact) {
  const auto precision = precision_at(state, 0);
  const auto dtype = tensor::dtype_of(precision);
  auto x = to_channels_last(normal("x", {kBatch, channels, side, side})).to(dtype).requires_grad_(true);
  auto wide = x.detach().to(torch::kFloat64).contiguous().requires_grad_(true);
  const auto dy = to_channels_last(direction("dy", wide)).to(dtype);
  once({state.range(0), channels, side}, [&] {
    layer(x).backward(dy);
    exact(wide).backward(dy.to(torch::kFloat64));
    expect_close("a layer's output", layer(x).detach(), exact(wide).detach(), tolerance_of(precision));
    expect_close("a layer's gradient", x.grad(), wide.grad(), tolerance_of(precision));
  });
  work.items = kBatch;
  work.peak = peak_of(precision);
  measure(state, work, [&] { layer(x).backward(dy); });
}

void group_norm_swish(benchmark::State& state) {
  const int64_t channels = state.range(1), side = state.range(2);
  const auto weight = normal("weight", {channels}) + 1, bias = normal("bias", {channels});
  // Forward reads x and writes y; backward reads x and dy and writes dx.
  const double bytes = 5.0 * double(kBatch * channels * side * side) * (state.range(0) == 0 ? 4 : 2);
  layer_passes(
      state, channels, side, {.bytes = bytes},
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
  constexpr int64_t kChannels = 256, kSide = 16, kTokens = kSide * kSide;
  // Four maps of channels, scores and what they mix; twice as much again for the gradients.
  constexpr double kFlop =
      3.0 * kBatch * (4 * 2.0 * kTokens * kChannels * kChannels + 2 * 2.0 * kTokens * kTokens * kChannels);
  ParameterMaker maker(1);
  const AttentionBlock block(maker, "attention", kChannels, 32);
  const auto parameters = maker.take();
  bench_networks::wake(parameters);
  const auto of = [&](const char* name) {
    return tensor::find(parameters, std::string("attention.") + name).to(torch::kFloat64);
  };
  layer_passes(
      state, kChannels, kSide, {.flop = kFlop}, [&](const at::Tensor& x) { return block(x); },
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

}  // namespace
}  // namespace ddpm_eval::ddpm
