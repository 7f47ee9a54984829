#include "base/core/numpy_random.h"
#include "bench/support.h"
#include "metrics/kernel_distance.h"
#include "metrics/neighbours.h"

#include <algorithm>
#include <cmath>

#include <torch/types.h>

// What compares every pair of two sets: KID, and precision, recall, density and coverage.
namespace ddpm_eval::metrics {
namespace {

using bench::expect_close;
using bench::measure;
using bench::normal;
using bench::once;
using bench::over_coordinates;

/// As many images on both sides.
struct Features {
  at::Tensor real, fake;

  Features(int64_t count, int64_t dim)
      : real(normal("real", {count, dim}).abs()), fake(normal("fake", {count, dim}).abs() * 1.1) {}
};

/// Binkowski et al. 2018: the mean of (<x, y> / d + 1)^3 over the pairs of rows that are listed, those of
/// equal places left out where both are of one set.
double mean_kernel(const at::Tensor& x, const std::vector<int64_t>& rows, const at::Tensor& y,
                   const std::vector<int64_t>& others) {
  const bool same = x.is_same(y);
  double sum = 0, pairs = 0;
  for (const int64_t i : rows) {
    for (const int64_t j : others) {
      if (!same || i != j) {
        const double product = over_coordinates(x, i, y, j, [](double a, double b) { return a * b; });
        sum += std::pow(product / double(x.size(1)) + 1, 3);
        pairs += 1;
      }
    }
  }
  return sum / pairs;
}

double kernel_distance_slowly(const Features& sets, const std::vector<int64_t>& real,
                              const std::vector<int64_t>& fake) {
  return mean_kernel(sets.real, real, sets.real, real) + mean_kernel(sets.fake, fake, sets.fake, fake) -
         2 * mean_kernel(sets.real, real, sets.fake, fake);
}

std::vector<int64_t> all_of(int64_t count) {
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < count; ++i) {
    rows.push_back(i);
  }
  return rows;
}

void kid_subsets(benchmark::State& state) {
  const int64_t size = state.range(0), dim = state.range(1);
  const Features sets(2 * size, dim);
  KernelDistanceRule rule;
  rule.subsets = 4;
  rule.subset_size = size;
  rule.all_pairs = false;
  once({size, dim}, [&] {
    core::NumpyRandom random(*rule.seed);
    const auto fake = random.choice(2 * size, size), real = random.choice(2 * size, size);
    KernelDistanceRule one = rule;
    one.subsets = 1;
    expect_close("KID of a subset", kernel_distance(sets.real, sets.fake, one).mean,
                 kernel_distance_slowly(sets, real, fake), 1e-4);
  });
  const double pairs = 3.0 * double(rule.subsets) * double(size) * double(size);
  measure(state, {.items = double(rule.subsets), .flop = 2 * pairs * double(dim)},
          [&] { return kernel_distance(sets.real, sets.fake, rule).mean; });
}
BENCHMARK(kid_subsets)
    ->Name("kid_subsets")
    ->ArgNames({"size", "dim"})
    ->Args({250, 2048})
    ->Args({1000, 2048})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

void kid_all_pairs(benchmark::State& state) {
  const int64_t count = state.range(0), dim = state.range(1);
  const Features sets(count, dim);
  once({count, dim}, [&] {
    // The plain loop takes its time: a part of the images is checked.
    const int64_t part = std::min<int64_t>(count, 600);
    expect_close("KID of all pairs",
                 kernel_estimate(sets.real.narrow(0, 0, part), sets.fake.narrow(0, 0, part)).value,
                 kernel_distance_slowly(sets, all_of(part), all_of(part)), 1e-6);
  });
  // Half of the pairs of each set, and all between them.
  const double pairs = 2.0 * double(count) * double(count);
  measure(
      state,
      {.items = double(2 * count), .flop = 2 * pairs * double(dim), .family = "kid_all_pairs", .n = count},
      [&] { return kernel_estimate(sets.real, sets.fake).value; });
}
BENCHMARK(kid_all_pairs)
    ->Name("kid_all_pairs")
    ->ArgNames({"count", "dim"})
    ->Args({1000, 2048})
    ->Args({3000, 2048})
    ->Args({9000, 2048})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

double squared_distance_slowly(const at::Tensor& x, int64_t i, const at::Tensor& y, int64_t j) {
  return over_coordinates(x, i, y, j, [](double a, double b) { return (a - b) * (a - b); });
}

/// Squared distances to the k-th nearest other.
std::vector<double> radii_slowly(const at::Tensor& set, int64_t k) {
  std::vector<double> radii;
  for (int64_t i = 0; i < set.size(0); ++i) {
    std::vector<double> distances;
    for (int64_t j = 0; j < set.size(0); ++j) {
      if (i != j) {
        distances.push_back(squared_distance_slowly(set, i, set, j));
      }
    }
    std::nth_element(distances.begin(), distances.begin() + (k - 1), distances.end());
    radii.push_back(distances[size_t(k - 1)]);
  }
  return radii;
}

/// Precision, recall, density and coverage by the definition.
std::vector<double> scores_slowly(const at::Tensor& real, const at::Tensor& fake, int64_t k) {
  const auto real_radii = radii_slowly(real, k), fake_radii = radii_slowly(fake, k);
  const auto n = size_t(real.size(0)), m = size_t(fake.size(0));
  std::vector<bool> fake_inside(m), real_inside(n);
  double hits = 0, balls_hit = 0;
  for (size_t i = 0; i < n; ++i) {
    const double before = hits;
    for (size_t j = 0; j < m; ++j) {
      const double distance = squared_distance_slowly(real, int64_t(i), fake, int64_t(j));
      if (distance <= real_radii[i]) {
        ++hits;
        fake_inside[j] = true;
      }
      real_inside[i] = real_inside[i] || distance <= fake_radii[j];
    }
    balls_hit += hits > before ? 1 : 0;
  }
  const auto share = [](const std::vector<bool>& flags) {
    return double(std::count(flags.begin(), flags.end(), true)) / double(flags.size());
  };
  return {share(fake_inside), share(real_inside), hits / double(size_t(k) * m), balls_hit / double(n)};
}

void neighbours(benchmark::State& state) {
  const int64_t count = state.range(0), dim = state.range(1);
  const Features sets(count, dim);
  NeighbourRule rule;
  rule.arithmetic = state.range(2) == 0 ? DistanceArithmetic::kFloat64 : DistanceArithmetic::kHalf;
  once({count, dim}, [&] {
    const int64_t part = std::min<int64_t>(count, 600);
    const auto real = sets.real.narrow(0, 0, part), fake = sets.fake.narrow(0, 0, part);
    const auto got = neighbour_scores(real, fake);
    expect_close("precision, recall, density and coverage",
                 torch::tensor({got.precision, got.recall, got.density, got.coverage}, torch::kFloat64),
                 torch::tensor(scores_slowly(real, fake, rule.k), torch::kFloat64), 1e-12);
  });
  const double pairs = 2.0 * double(count) * double(count);
  measure(state,
          {.items = double(2 * count),
           .flop = 2 * pairs * double(dim),
           .family = state.range(2) == 0 ? "neighbours" : nullptr,
           .n = count},
          [&] { return neighbour_scores(sets.real, sets.fake, rule).precision; });
}
BENCHMARK(neighbours)
    ->Name("neighbours")
    ->ArgNames({"count", "dim", "half"})
    ->Args({1000, 2048, 0})
    ->Args({3000, 2048, 0})
    ->Args({9000, 2048, 0})
    ->Args({3000, 2048, 1})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace
}  // namespace ddpm_eval::metrics
