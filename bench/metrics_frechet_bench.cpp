#include "bench/support.h"
#include "metrics/frechet.h"
#include "metrics/matrix_sqrt.h"
#include "metrics/moments.h"

#include <cmath>
#include <map>

#include <torch/types.h>

// Moments, the Frechet distance and matrix roots, all of float64. Where a size grows, the time should grow as
// said: see the rows BigO and RMS, and the counter "exponent".
namespace ddpm_eval::metrics {
namespace {

using bench::expect_close;
using bench::measure;
using bench::normal;
using bench::once;
using bench::Peak;

void run_moments(benchmark::State& state, const char* family, int64_t n) {
  const int64_t count = state.range(0), dim = state.range(1);
  const auto features = normal("features", {count, dim}) + 3;
  once({count, dim}, [&] {
    // In two passes, after the definition.
    const auto wide = features.to(torch::kFloat64);
    const auto centred = wide - wide.mean(0);
    const auto got = moments_of(features);
    expect_close("the mean", got.mean, wide.mean(0), 1e-12);
    expect_close("the covariance", got.covariance, torch::mm(centred.t(), centred) / double(count - 1),
                 1e-10);
  });
  // Half of a symmetric matrix is computed.
  measure(state,
          {.items = double(count),
           .flop = double(count) * double(dim) * double(dim + 1),
           .bytes = 4.0 * double(count * dim),
           .peak = Peak::kFloat64,
           .family = family,
           .n = n},
          [&] { return moments_of(features); });
}

void moments_by_count(benchmark::State& state) { run_moments(state, "moments_by_count", state.range(0)); }
BENCHMARK(moments_by_count)
    ->ArgNames({"count", "dim"})
    ->ArgsProduct({{1024, 4096, 16'384}, {256}})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime()
    ->Complexity(benchmark::oN);

void moments_by_dim(benchmark::State& state) { run_moments(state, "moments_by_dim", state.range(1)); }
BENCHMARK(moments_by_dim)
    ->ArgNames({"count", "dim"})
    ->ArgsProduct({{2048}, {64, 512, 2048}})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime()
    ->Complexity(benchmark::oNSquared);

/// A reflection: orthogonal, symmetric and without zeros.
at::Tensor reflection(int64_t dim) {
  const auto v = normal("axis", {1, dim}).to(torch::kFloat64);
  return torch::eye(dim, torch::kFloat64) - 2 * torch::mm(v.t(), v) / v.pow(2).sum();
}

at::Tensor spectrum(int64_t dim, double least, double step) {
  return least + (torch::arange(dim, torch::kFloat64) * step).sin().abs();
}

/// Two normal distributions whose covariances share their eigenvectors: of all others, the distance has no
/// closed form.
struct Pair {
  Moments real, fake;
  double distance;
};

Pair full_rank(int64_t dim) {
  const auto axes = reflection(dim);
  const auto a = spectrum(dim, 0.1, 1.0), b = spectrum(dim, 0.3, 2.0);
  const auto mean = normal("mean", {1, dim})[0].to(torch::kFloat64);
  const auto covariance = [&](const at::Tensor& eigenvalues) {
    const auto product = torch::mm(axes * eigenvalues, axes.t());
    return ((product + product.t()) / 2).contiguous();
  };
  return {{torch::zeros_like(mean), covariance(a), 2 * dim, {}},
          {mean, covariance(b), 2 * dim, {}},
          mean.pow(2).sum().item<double>() + (a.sqrt() - b.sqrt()).pow(2).sum().item<double>()};
}

void frechet(benchmark::State& state) {
  const int64_t dim = state.range(0);
  static std::map<int64_t, Pair> pairs;
  if (!pairs.contains(dim)) {
    pairs[dim] = full_rank(dim);
  }
  const Pair& pair = pairs.at(dim);
  once({dim}, [&] {
    expect_close("the Frechet distance", frechet_distance(pair.real, pair.fake).distance, pair.distance,
                 1e-9);
  });
  // Cholesky, two products with a triangle, reduction to a tridiagonal matrix.
  measure(state,
          {.items = 1,
           .flop = (1.0 / 3 + 2 + 4.0 / 3) * std::pow(double(dim), 3),
           .peak = Peak::kFloat64,
           .family = "frechet",
           .n = dim},
          [&] { return frechet_distance(pair.real, pair.fake).distance; });
}
BENCHMARK(frechet)
    ->ArgName("dim")
    ->Arg(64)
    ->Arg(512)
    ->Arg(1024)
    ->Arg(2048)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime()
    ->Complexity(benchmark::oNCubed);

/// Fewer vectors than dimensions: what is left of each side are `count` of the same axes.
Pair few(int64_t count, int64_t dim) {
  const auto axes = reflection(dim).narrow(0, 0, count);
  const auto a = spectrum(count, 0.1, 1.0), b = spectrum(count, 0.3, 2.0);
  const auto mean = normal("mean", {1, dim})[0].to(torch::kFloat64);
  const auto side = [&](const at::Tensor& mu, const at::Tensor& eigenvalues) {
    const auto centred = (axes * eigenvalues.sqrt().view({-1, 1})).contiguous();
    return Moments{mu, torch::mm(centred.t(), centred), count, centred};
  };
  return {side(torch::zeros_like(mean), a), side(mean, b),
          mean.pow(2).sum().item<double>() + (a.sqrt() - b.sqrt()).pow(2).sum().item<double>()};
}

void frechet_few(benchmark::State& state) {
  const int64_t count = state.range(0), dim = state.range(1);
  static std::map<int64_t, Pair> pairs;
  if (!pairs.contains(count)) {
    pairs[count] = few(count, dim);
  }
  const Pair& pair = pairs.at(count);
  once({count}, [&] {
    const auto got = frechet_distance(pair.real, pair.fake);
    expect_close("the Frechet distance of few", got.distance, pair.distance, 1e-9);
  });
  measure(state, {.items = 1, .family = "frechet_few", .n = count},
          [&] { return frechet_distance(pair.real, pair.fake).distance; });
}
BENCHMARK(frechet_few)
    ->ArgNames({"count", "dim"})
    ->ArgsProduct({{128, 512}, {2048}})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

void sqrt_symmetric_matrix(benchmark::State& state) {
  const auto matrix = full_rank(state.range(0)).real.covariance;
  once({state.range(0)}, [&] {
    const auto root = sqrt_symmetric(matrix);
    expect_close("a squared root", torch::mm(root, root), matrix, 1e-10);
    expect_close("a root transposed", root, root.t(), 1e-12);
  });
  measure(state, {.items = 1, .family = "sqrt_symmetric", .n = state.range(0)},
          [&] { return sqrt_symmetric(matrix); });
}
BENCHMARK(sqrt_symmetric_matrix)
    ->ArgName("dim")
    ->Arg(64)
    ->Arg(512)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

void sqrt_general_matrix(benchmark::State& state) {
  const auto pair = full_rank(state.range(0));
  const auto matrix = torch::mm(pair.real.covariance, pair.fake.covariance);
  once({state.range(0)}, [&] {
    const auto root = sqrt_general(matrix).root;
    expect_close("a squared root", torch::real(torch::mm(root, root)), matrix, 1e-9);
  });
  measure(state, {.items = 1, .family = "sqrt_general", .n = state.range(0)},
          [&] { return sqrt_general(matrix).root; });
}
BENCHMARK(sqrt_general_matrix)
    ->ArgName("dim")
    ->Arg(64)
    ->Arg(192)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace
}  // namespace ddpm_eval::metrics
