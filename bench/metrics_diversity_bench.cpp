#include "bench/support.h"
#include "metrics/memorization.h"
#include "metrics/monge_distance.h"
#include "metrics/vendi_score.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <ATen/CPUGeneratorImpl.h>
#include <torch/types.h>

// Vendi score, the distance of MiFID, and MIND.
namespace ddpm_eval::metrics {
namespace {

using bench::expect_close;
using bench::measure;
using bench::normal;
using bench::once;

at::Tensor features(const char* name, int64_t count, int64_t dim) { return normal(name, {count, dim}).abs(); }

double inner_product(const at::Tensor& x, int64_t i, const at::Tensor& y, int64_t j) {
  return bench::over_coordinates(x, i, y, j, [](double a, double b) { return a * b; });
}

double cosine(const at::Tensor& x, int64_t i, const at::Tensor& y, int64_t j) {
  return inner_product(x, i, y, j) / std::sqrt(inner_product(x, i, x, i) * inner_product(y, j, y, j));
}

/// By the whole matrix of cosines and LibTorch's eigenvalues.
double vendi_slowly(const at::Tensor& rows) {
  const int64_t count = rows.size(0);
  auto cosines = torch::empty({count, count}, torch::kFloat64);
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t j = 0; j < count; ++j) {
      cosines[i][j] = cosine(rows, i, rows, j) / double(count);
    }
  }
  const auto values = at::linalg_eigvalsh(cosines).clamp_min(1e-300);
  return std::exp(-(values * values.log()).sum().item<double>());
}

void vendi(benchmark::State& state) {
  const int64_t count = state.range(0), dim = state.range(1);
  const auto rows = features("fake", count, dim);
  once({count, dim}, [&] {
    const auto part = rows.narrow(0, 0, 150);
    expect_close("Vendi score", vendi_score(part).value, vendi_slowly(part), 1e-9);
  });
  // The products of the smaller matrix, half of them; from two vectors a feature on all of them again.
  const int64_t small = std::min(count, dim);
  const double passes = count >= 2 * dim ? 3.0 : 1.0;
  measure(state, {.items = double(count), .flop = passes * double(count) * double(dim) * double(small)},
          [&] { return vendi_score(rows).value; });
}
BENCHMARK(vendi)
    ->Name("vendi")
    ->ArgNames({"count", "dim"})
    ->Args({1000, 2048})
    ->Args({5000, 512})
    ->Args({50'000, 64})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

double nearest_cosine_slowly(const at::Tensor& real, const at::Tensor& fake) {
  double sum = 0;
  for (int64_t i = 0; i < real.size(0); ++i) {
    double smallest = 1;
    for (int64_t j = 0; j < fake.size(0); ++j) {
      smallest = std::min(smallest, 1 - std::abs(cosine(real, i, fake, j)));
    }
    sum += smallest;
  }
  return sum / double(real.size(0));
}

void nearest_cosine(benchmark::State& state) {
  const int64_t count = state.range(0), dim = state.range(1);
  const auto real = features("real", count, dim);
  // Alike: a generator that has collapsed, of whose images each may be the nearest.
  const bool alike = state.range(2) != 0;
  const auto fake = features("fake", count, dim) * (alike ? 1e-4 : 1.0) +
                    (alike ? features("one", 1, dim) : torch::zeros({1}));
  once({count, dim, state.range(2)}, [&] {
    const auto some = real.narrow(0, 0, 200), others = fake.narrow(0, 0, 200);
    expect_close("nearest cosine distance", nearest_cosine_distance(some, others),
                 nearest_cosine_slowly(some, others), 1e-12);
  });
  measure(state,
          {.items = double(2 * count),
           .flop = 2 * double(count) * double(count) * double(dim),
           .family = alike ? nullptr : "nearest_cosine",
           .n = count},
          [&] { return nearest_cosine_distance(real, fake); });
}
BENCHMARK(nearest_cosine)
    ->Name("nearest_cosine")
    ->ArgNames({"count", "dim", "alike"})
    ->Args({1000, 2048, 0})
    ->Args({3000, 2048, 0})
    ->Args({9000, 2048, 0})
    ->Args({3000, 2048, 1})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

std::vector<double> sorted_projection(const at::Tensor& rows, const at::Tensor& axes, int64_t axis) {
  std::vector<double> values;
  for (int64_t i = 0; i < rows.size(0); ++i) {
    values.push_back(inner_product(rows, i, axes, axis) / std::sqrt(inner_product(axes, axis, axes, axis)));
  }
  std::sort(values.begin(), values.end());
  return values;
}

double mind_slowly(const at::Tensor& real, const at::Tensor& fake, const MongeDistanceRule& rule) {
  auto generator = at::detail::createCPUGenerator(rule.seed);
  const auto axes = at::randn({rule.projections, real.size(1)}, generator, torch::kFloat32);
  double sum = 0;
  for (int64_t axis = 0; axis < rule.projections; ++axis) {
    const auto one = sorted_projection(real, axes, axis), other = sorted_projection(fake, axes, axis);
    for (size_t i = 0; i < one.size(); ++i) {
      sum += (one[i] - other[i]) * (one[i] - other[i]);
    }
  }
  return 3 * double(real.size(1)) * sum / (double(rule.projections) * double(real.size(0)));
}

void mind(benchmark::State& state) {
  const int64_t count = state.range(0), dim = state.range(1);
  const MongeDistanceRule rule;
  const auto real = features("real", count, dim), fake = features("fake", count, dim) * 1.1;
  once({count, dim}, [&] {
    const auto some = real.narrow(0, 0, 40), others = fake.narrow(0, 0, 40);
    // Directions are rounded to float32.
    expect_close("MIND", monge_distance(some, others, rule).value, mind_slowly(some, others, rule), 1e-6);
  });
  measure(state,
          {.items = double(2 * count), .flop = 4 * double(count) * double(dim) * double(rule.projections)},
          [&] { return monge_distance(real, fake, rule).value; });
}
BENCHMARK(mind)
    ->Name("mind")
    ->ArgNames({"count", "dim"})
    ->Args({5000, 2048})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace
}  // namespace ddpm_eval::metrics
