#include "metrics/point_distances.h"

#include "base/core/error.h"
#include "base/tensor/noise.h"
#include "base/tensor/shape.h"
#include "metrics/feature_pairs.h"
#include "metrics/point_pairs.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace ddpm_eval::metrics {
namespace {

/// Unit vectors, float64 [projections, dim].
at::Tensor directions(int64_t dim, const SlicedWassersteinOptions& options) {
  if (dim == 1) {
    return torch::ones({1, 1}, at::kDouble);
  }
  if (dim == 2) {
    const auto angles = torch::arange(options.projections, at::kDouble) *
                        (std::numbers::pi / static_cast<double>(options.projections));
    return at::stack({angles.cos(), angles.sin()}, 1);
  }
  const auto rows = tensor::index_range(0, options.projections);
  const auto normal =
      tensor::normal_rows({options.seed, "sliced-wasserstein"}, rows, 0, {dim}).to(at::kDouble);
  return normal / normal.norm(2, {1}, /*keepdim=*/true);
}

/// W_p^p of two sorted samples: the integral over u in (0, 1) of |F^-1(u) - G^-1(u)|^p. Both quantile
/// functions are constant between neighbouring multiples of 1/n and 1/m, so the integral is a sum over the
/// merged multiples, whose positions are kept as integers in units of 1 / (n m).
double wasserstein_1d(std::span<const double> real, std::span<const double> fake, double p) {
  const auto n = static_cast<int64_t>(real.size());
  const auto m = static_cast<int64_t>(fake.size());
  double sum = 0.0;
  int64_t position = 0;
  for (int64_t i = 0, j = 0; i < n && j < m;) {
    const int64_t real_end = (i + 1) * m;
    const int64_t fake_end = (j + 1) * n;
    const int64_t end = std::min(real_end, fake_end);
    const double gap = std::abs(real[i] - fake[j]);
    sum += static_cast<double>(end - position) * (p == 2.0 ? gap * gap : std::pow(gap, p));
    position = end;
    i += real_end == end ? 1 : 0;
    j += fake_end == end ? 1 : 0;
  }
  return sum / (static_cast<double>(n) * static_cast<double>(m));
}

std::span<const double> values(const at::Tensor& row) {
  return {row.data_ptr<double>(), static_cast<size_t>(row.numel())};
}

/// The projections of `points`, float32 [n, d], on the rows of `axes`, each sorted: float64 [k, n]. Points in
/// the plane go at once, features in blocks, whose float64 copies are small beside the set.
at::Tensor sorted_projections(const at::Tensor& points, const at::Tensor& axes) {
  constexpr int64_t kRows = 4096;
  if (axes.size(0) == 1) {
    return std::get<0>(at::mv(points.to(at::kDouble), axes[0]).sort()).unsqueeze(0);
  }
  const auto across = axes.t();
  auto projected = at::empty({points.size(0), axes.size(0)}, at::kDouble);
  for (int64_t begin = 0; begin < points.size(0); begin += kRows) {
    const int64_t count = std::min(kRows, points.size(0) - begin);
    auto rows = projected.narrow(0, begin, count);
    at::mm_out(rows, points.narrow(0, begin, count).to(at::kDouble), across);
  }
  return std::get<0>(projected.t().contiguous().sort(1)).contiguous();
}

/// The sum of |x - y| over all pairs.
double sum_of_distances(const at::Tensor& x, const at::Tensor& y, detail::PairProgress& counter) {
  double sum = 0.0;
  detail::for_all_distances(x, y, [&](int64_t, const at::Tensor& distances) {
    sum += distances.sum().item<double>();
    counter.add(distances.numel());
  });
  return sum;
}

/// The smallest distance between two different points, or infinity.
double smallest_distance(const at::Tensor& points) {
  double smallest = std::numeric_limits<double>::infinity();
  detail::for_all_distances(points, points, [&](int64_t, const at::Tensor& distances) {
    distances.masked_fill_(distances == 0.0, std::numeric_limits<double>::infinity());
    smallest = std::min(smallest, distances.min().item<double>());
  });
  return smallest;
}

/// The three terms cancel where one point lies very far from the others: what is left may be rounding alone.
/// A difference of nothing is still right where no distance is small beside the terms.
void require_significant(double value, double largest_term, const at::Tensor& x, const at::Tensor& y) {
  constexpr double kRounding = 0x1p-45;
  constexpr double kSmall = 0x1p-20;
  if (std::abs(value) <= kRounding * largest_term &&
      smallest_distance(at::cat({x, y})) < kSmall * largest_term) {
    throw core::DataError(
        "some points lie so far from the others (mean distance {:.3g}) that the energy distance is lost in "
        "rounding; remove them",
        largest_term);
  }
}

}  // namespace

double sliced_wasserstein(const at::Tensor& real, const at::Tensor& fake,
                          const SlicedWassersteinOptions& options, const DistanceProgress& progress) {
  detail::check_points(real, fake, 1);
  if (options.projections < 1 || !(options.p >= 1.0)) {
    throw core::UsageError(
        "the sliced Wasserstein distance needs at least 1 projection and p >= 1, not {} and {}",
        options.projections, options.p);
  }
  return sliced_wasserstein_along(directions(real.size(1), options), real, fake, options.p, progress);
}

double sliced_wasserstein_along(const at::Tensor& directions, const at::Tensor& real, const at::Tensor& fake,
                                double p, const DistanceProgress& progress) {
  detail::check_points(real, fake, 1);
  tensor::expect(directions, at::kDouble, {-1, real.size(1)}, "directions");
  const int64_t total = directions.size(0);
  const int64_t block = real.size(1) <= 2 ? 1 : 64;
  double sum = 0.0;
  for (int64_t begin = 0; begin < total; begin += block) {
    const auto axes = directions.narrow(0, begin, std::min(block, total - begin));
    const auto of_real = sorted_projections(real, axes);
    const auto of_fake = sorted_projections(fake, axes);
    for (int64_t k = 0; k < axes.size(0); ++k) {
      sum += wasserstein_1d(values(of_real[k]), values(of_fake[k]), p);
    }
    if (progress) {
      progress(begin + axes.size(0), total);
    }
  }
  return std::pow(sum / static_cast<double>(total), 1.0 / p);
}

double sliced_wasserstein_approximation(const at::Tensor& real, const at::Tensor& fake) {
  detail::check_points(real, fake, 1);
  const auto mean_of = [](const at::Tensor& rows) {
    return detail::sum_of_rows(rows) / static_cast<double>(rows.size(0));
  };
  const auto root_of_variance = [](const at::Tensor& rows, const at::Tensor& mean) {
    constexpr int64_t kRows = 4096;
    double squares = 0.0;
    detail::for_each_block(rows.size(0), kRows, [&](int64_t begin, int64_t count) {
      squares += (rows.narrow(0, begin, count).to(at::kDouble) - mean).square_().sum().item<double>();
    });
    return std::sqrt(squares / static_cast<double>(rows.size(0)));
  };
  const auto of_real = mean_of(real), of_fake = mean_of(fake);
  const double shift = (of_real - of_fake).norm().item<double>();
  const double spread = root_of_variance(real, of_real) - root_of_variance(fake, of_fake);
  return std::hypot(shift, spread) / std::sqrt(static_cast<double>(real.size(1)));
}

double energy_distance(const at::Tensor& real, const at::Tensor& fake, const DistanceProgress& progress) {
  detail::check_points(real, fake, 2);
  const auto x = real.to(at::kDouble);
  const auto y = fake.to(at::kDouble);
  const auto n = static_cast<double>(x.size(0));
  const auto m = static_cast<double>(y.size(0));
  // A point's distance to itself is exactly 0, so only the divisors know that it is left out.
  detail::PairProgress counter(x.size(0) * y.size(0) + x.size(0) * x.size(0) + y.size(0) * y.size(0),
                               progress);
  const double between = 2.0 * sum_of_distances(x, y, counter) / (n * m);
  const double within_x = sum_of_distances(x, x, counter) / (n * (n - 1.0));
  const double within_y = sum_of_distances(y, y, counter) / (m * (m - 1.0));
  const double value = between - within_x - within_y;
  require_significant(value, std::max({between, within_x, within_y}), x, y);
  return value;
}

}  // namespace ddpm_eval::metrics
