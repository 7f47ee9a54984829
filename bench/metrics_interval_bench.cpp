#include "bench/support.h"
#include "metrics/extrapolation.h"
#include "metrics/frechet.h"
#include "metrics/frechet_interval.h"
#include "metrics/score_interval.h"

#include <cmath>

#include <torch/types.h>

// What uncertainty costs beside the scores themselves.
namespace ddpm_eval::metrics {
namespace {

using bench::expect_close;
using bench::measure;
using bench::normal;
using bench::once;

/// Independent features, whose true distance is 1 from the means and d / 16 from the spreads.
struct Sets {
  at::Tensor real, fake;

  Sets(int64_t count, int64_t dim) : real(normal("real", {count, dim})), fake(normal("fake", {count, dim})) {
    fake.mul_(1.25F);
    fake.select(1, 0).add_(1.0F);
  }
};

/// A small one, and FID's.
void sizes(benchmark::internal::Benchmark* one) {
  one->ArgNames({"count", "dim"})->Args({2048, 256})->Args({10'000, 2048});
  one->Iterations(1)->Unit(benchmark::kMillisecond)->UseRealTime();
}

void interval(benchmark::State& state, IntervalMethod method) {
  const int64_t count = state.range(0), dim = state.range(1);
  const Sets sets(count, dim);
  once({count, dim, static_cast<int64_t>(method)}, [&] {
    const auto got = frechet_interval(sets.real, sets.fake, {.method = method});
    expect_close("the distance", got.value,
                 frechet_distance(moments_of(sets.real), moments_of(sets.fake)).distance, 1e-12);
    expect_close("the distance less its bias", got.value - got.bias, 1.0 + static_cast<double>(dim) / 16,
                 0.25);
  });
  measure(state, {.items = 1, .family = "frechet_interval", .n = dim},
          [&] { return frechet_interval(sets.real, sets.fake, {.method = method}).deviation; });
}

void frechet_jackknife(benchmark::State& state) { interval(state, IntervalMethod::kJackknife); }
BENCHMARK(frechet_jackknife)->Apply(sizes);

void frechet_delta(benchmark::State& state) { interval(state, IntervalMethod::kDelta); }
BENCHMARK(frechet_delta)->Apply(sizes);

void extrapolated_frechet(benchmark::State& state) {
  const int64_t count = state.range(0), dim = state.range(1);
  const Sets sets(count, dim);
  const auto real = moments_of(sets.real);
  once({count, dim}, [&] {
    const auto got = frechet_infinity(real, sets.fake);
    expect_close("the distance of all", got.values.back(),
                 frechet_distance(real, moments_of(sets.fake)).distance, 1e-9);
  });
  measure(state, {.items = 1, .family = "frechet_infinity", .n = dim},
          [&] { return frechet_infinity(real, sets.fake).intercept; });
}
BENCHMARK(extrapolated_frechet)->Name("frechet_infinity")->Apply(sizes);

void jackknifed_score(benchmark::State& state) {
  const int64_t count = state.range(0);
  constexpr int64_t kClasses = 1008;
  const auto logits = normal("logits", {count, kClasses}) * 2;
  once({count},
       [&] { expect_close("the score", score_interval(logits).value, inception_score(logits).mean, 1e-12); });
  measure(state, {.items = double(count), .family = "score_interval", .n = count},
          [&] { return score_interval(logits).deviation; });
}
BENCHMARK(jackknifed_score)
    ->Name("score_interval")
    ->ArgName("count")
    ->Arg(2000)
    ->Arg(8000)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime()
    ->Complexity(benchmark::oN);

}  // namespace
}  // namespace ddpm_eval::metrics
