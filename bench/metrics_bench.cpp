#include "base/tensor/runtime.h"
#include "metrics/inception.h"
#include "metrics/resample.h"
#include "tests/support/synthetic_inception.h"

#include <benchmark/benchmark.h>

// Usage: bench_metrics [--benchmark_filter=...]; every processor is used. Items per second are images per
// second.
namespace ddpm_eval::metrics {
namespace {

void inception_forward(benchmark::State& state) {
  const auto net = make_inception(testing::synthetic_inception_weights());
  const at::Tensor input =
      net->prepare(testing::synthetic_images("bench", net->micro_batch(), /*height=*/32, /*width=*/32));
  for (auto _ : state) {
    benchmark::DoNotOptimize(net->forward(input).features.data_ptr());
  }
  state.SetItemsProcessed(state.iterations() * net->micro_batch());
}
BENCHMARK(inception_forward)->Unit(benchmark::kMillisecond)->UseRealTime();

template <at::Tensor (*Resample)(const at::Tensor&, int64_t, int64_t)>
void resample(benchmark::State& state) {
  constexpr int64_t kCount = 4;
  const at::Tensor images = testing::synthetic_images("bench", kCount, state.range(0), state.range(1));
  for (auto _ : state) {
    benchmark::DoNotOptimize(Resample(images, kInceptionSide, kInceptionSide).data_ptr());
  }
  state.SetItemsProcessed(state.iterations() * kCount);
}
BENCHMARK(resample<resample_tf1_bilinear>)->Args({32, 32})->Args({1500, 2000})->UseRealTime();
BENCHMARK(resample<resample_half_pixel_bilinear>)->Args({32, 32})->Args({1500, 2000})->UseRealTime();

}  // namespace
}  // namespace ddpm_eval::metrics

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) {
    return 1;
  }
  ddpm_eval::tensor::configure_runtime(0);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
