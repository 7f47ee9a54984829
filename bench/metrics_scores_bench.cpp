#include "base/core/numpy_random.h"
#include "bench/support.h"
#include "metrics/inception_score.h"
#include "metrics/point_distances.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <torch/types.h>

// Inception Score and distances of points. Where a size grows, the time should grow as said: see the rows
// BigO and RMS, and the counter "exponent".
namespace ddpm_eval::metrics {
namespace {

using bench::expect_close;
using bench::measure;
using bench::normal;
using bench::once;
using bench::Peak;

constexpr int64_t kClasses = 1008;

/// Salimans et al. 2016, number by number, in the shuffled order.
InceptionScore inception_score_slowly(const at::Tensor& logits, const InceptionScoreRule& options) {
  const int64_t count = logits.size(0), classes = logits.size(1);
  const auto order = core::NumpyRandom(*options.shuffle_seed).permutation(count);
  const auto row = logits.accessor<float, 2>();
  std::vector<double> scores;
  for (int64_t split = 0; split < options.splits; ++split) {
    const int64_t begin = split * count / options.splits, end = (split + 1) * count / options.splits;
    std::vector<std::vector<double>> p;
    std::vector<double> mean(static_cast<size_t>(classes));
    for (int64_t i = begin; i < end; ++i) {
      std::vector<double> raised;
      double sum = 0;
      for (int64_t k = 0; k < classes; ++k) {
        raised.push_back(std::exp(double(row[order[size_t(i)]][k])));
        sum += raised.back();
      }
      for (size_t k = 0; k < raised.size(); ++k) {
        raised[k] /= sum;
        mean[k] += raised[k] / double(end - begin);
      }
      p.push_back(std::move(raised));
    }
    double divergence = 0;
    for (const auto& one : p) {
      for (size_t k = 0; k < one.size(); ++k) {
        divergence += one[k] * std::log(one[k] / mean[k]) / double(p.size());
      }
    }
    scores.push_back(std::exp(divergence));
  }
  InceptionScore result;
  for (const double score : scores) {
    result.mean += score / double(scores.size());
  }
  double variance = 0;
  for (const double score : scores) {
    variance += (score - result.mean) * (score - result.mean) / double(scores.size());
  }
  result.std = std::sqrt(variance);
  return result;
}

void score(benchmark::State& state) {
  const int64_t count = state.range(0);
  const auto logits = normal("logits", {count, kClasses}) * 2;
  once({count}, [&] {
    const auto got = inception_score(logits), wanted = inception_score_slowly(logits, {});
    expect_close("the Inception Score", got.mean, wanted.mean, 1e-9);
    expect_close("its spread", *got.std, *wanted.std, 1e-6);
  });
  measure(state,
          {.items = double(count),
           .bytes = 4.0 * double(logits.numel()),
           .peak = Peak::kFloat64,
           .family = "inception_score",
           .n = count},
          [&] { return inception_score(logits).mean; });
}
BENCHMARK(score)
    ->Name("inception_score")
    ->ArgName("count")
    ->Arg(500)
    ->Arg(2000)
    ->Arg(8000)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime()
    ->Complexity(benchmark::oN);

/// The sets of one size on both sides: `count` points in the plane.
struct Points {
  at::Tensor real, fake;

  explicit Points(int64_t count) : real(normal("real", {count, 2})), fake(normal("fake", {count, 2}) * 1.5) {}
};

/// Of equal sizes: the i-th smallest goes to the i-th smallest.
double sliced_wasserstein_slowly(const Points& points, int64_t projections) {
  double sum = 0;
  for (int64_t k = 0; k < projections; ++k) {
    const double angle = std::numbers::pi * double(k) / double(projections);
    const auto projected = [&](const at::Tensor& of) {
      const auto xy = of.accessor<float, 2>();
      std::vector<double> values;
      for (int64_t i = 0; i < of.size(0); ++i) {
        values.push_back(double(xy[i][0]) * std::cos(angle) + double(xy[i][1]) * std::sin(angle));
      }
      std::sort(values.begin(), values.end());
      return values;
    };
    const auto real = projected(points.real), fake = projected(points.fake);
    for (size_t i = 0; i < real.size(); ++i) {
      sum += (real[i] - fake[i]) * (real[i] - fake[i]) / double(real.size());
    }
  }
  return std::sqrt(sum / double(projections));
}

void sliced(benchmark::State& state) {
  const int64_t count = state.range(0);
  const Points points(count);
  const SlicedWassersteinOptions options;
  once({count}, [&] {
    expect_close("the sliced Wasserstein distance", sliced_wasserstein(points.real, points.fake, options),
                 sliced_wasserstein_slowly(points, options.projections), 1e-9);
  });
  measure(state, {.items = double(2 * count), .family = "sliced_wasserstein", .n = count},
          [&] { return sliced_wasserstein(points.real, points.fake, options); });
}
BENCHMARK(sliced)
    ->Name("sliced_wasserstein")
    ->ArgName("count")
    ->Arg(1000)
    ->Arg(4000)
    ->Arg(16'000)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime()
    ->Complexity(benchmark::oNLogN);

/// The mean distance of two sets, a point and itself left out.
double mean_distance(const at::Tensor& from, const at::Tensor& to) {
  const auto a = from.accessor<float, 2>(), b = to.accessor<float, 2>();
  const bool same = from.is_same(to);
  double sum = 0;
  for (int64_t i = 0; i < from.size(0); ++i) {
    for (int64_t j = 0; j < to.size(0); ++j) {
      sum += std::hypot(double(a[i][0]) - double(b[j][0]), double(a[i][1]) - double(b[j][1]));
    }
  }
  return sum / double(from.size(0) * (to.size(0) - (same ? 1 : 0)));
}

void energy(benchmark::State& state) {
  const int64_t count = state.range(0);
  const Points points(count);
  once({count}, [&] {
    expect_close("the energy distance", energy_distance(points.real, points.fake),
                 2 * mean_distance(points.real, points.fake) - mean_distance(points.real, points.real) -
                     mean_distance(points.fake, points.fake),
                 1e-9);
  });
  // Every pair once: a difference, a square and a sum for both coordinates, and a root.
  const double pairs = double(count) * double(count) + double(count) * double(count - 1);
  measure(state,
          {.items = double(2 * count),
           .flop = 7 * pairs,
           .peak = Peak::kFloat64,
           .family = "energy_distance",
           .n = count},
          [&] { return energy_distance(points.real, points.fake); });
}
BENCHMARK(energy)
    ->Name("energy_distance")
    ->ArgName("count")
    ->Arg(500)
    ->Arg(1500)
    ->Arg(4500)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime()
    ->Complexity(benchmark::oNSquared);

}  // namespace
}  // namespace ddpm_eval::metrics
