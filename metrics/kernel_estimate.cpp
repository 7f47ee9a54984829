#include "base/core/error.h"
#include "metrics/kernel_sums.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace ddpm_eval::metrics::detail {
namespace {

double sum_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

double dot_of(const std::vector<double>& x, const std::vector<double>& y) {
  return std::inner_product(x.begin(), x.end(), y.begin(), 0.0);
}

/// The sums over pairs as unbiased estimates of products of expectations, named for the real side (k, a, b of
/// X, X', X'', X''' and Y, Y'); the fake side exchanges the two.
struct PairMoments {
  double n, m;
  double within_squares, cross_squares;
  double within, cross;                   ///< sums of the rows
  double within_rows, cross_rows, mixed;  ///< sums of squares and of products of the rows
  double cross_columns;

  PairMoments(const std::vector<double>& own, double own_squares, const std::vector<double>& others,
              const std::vector<double>& columns, double all_squares)
      : n(static_cast<double>(own.size())),
        m(static_cast<double>(columns.size())),
        within_squares(own_squares),
        cross_squares(all_squares),
        within(sum_of(own)),
        cross(sum_of(others)),
        within_rows(dot_of(own, own)),
        cross_rows(dot_of(others, others)),
        mixed(dot_of(own, others)),
        cross_columns(dot_of(columns, columns)) {}

  double mean() const { return within / (n * (n - 1)); }
  double k_squared() const { return within_squares / (n * (n - 1)); }
  double a_squared() const { return (within_rows - within_squares) / (n * (n - 1) * (n - 2)); }
  double mean_squared() const {
    return (within * within - 4 * within_rows + 2 * within_squares) / (n * (n - 1) * (n - 2) * (n - 3));
  }
  double b_squared() const { return (cross_rows - cross_squares) / (n * m * (m - 1)); }
  double cross_mean_squared() const {
    return (cross * cross - cross_rows - cross_columns + cross_squares) / (n * (n - 1) * m * (m - 1));
  }
  double a_times_b() const { return mixed / (n * (n - 1) * m); }
  double mean_times_cross_mean() const { return (within * cross - 2 * mixed) / (n * (n - 1) * (n - 2) * m); }

  /// Var[a(X) - b(X)].
  double variance_of_image() const {
    return a_squared() - mean_squared() - 2 * (a_times_b() - mean_times_cross_mean()) + b_squared() -
           cross_mean_squared();
  }
  /// V_xx.
  double variance_of_pair() const { return k_squared() - 2 * a_squared() + mean_squared(); }
};

}  // namespace

void require_finite_kernel(double value) {
  if (!std::isfinite(value)) {
    throw core::DataError(
        "the kernel of these features is beyond floating point: their numbers are too large for it");
  }
}

KernelEstimate estimate_from(const KernelSums& sums) {
  const PairMoments real(sums.real_real, sums.real_squares, sums.real_fake, sums.fake_real,
                         sums.cross_squares);
  const PairMoments fake(sums.fake_fake, sums.fake_squares, sums.fake_real, sums.real_fake,
                         sums.cross_squares);
  const double n = real.n, m = real.m;
  KernelEstimate result;
  result.value = real.mean() + fake.mean() - 2 * real.cross / (n * m);
  require_finite_kernel(result.value);
  if (n >= 4 && m >= 4) {
    const double cross_pair =
        real.cross_squares / (n * m) - real.b_squared() - fake.b_squared() + real.cross_mean_squared();
    result.variance_of_images = 4 * (real.variance_of_image() / n + fake.variance_of_image() / m);
    result.variance_of_pairs = 2 * real.variance_of_pair() / (n * (n - 1)) +
                               2 * fake.variance_of_pair() / (m * (m - 1)) + 4 * cross_pair / (n * m);
    require_finite_kernel(result.variance_of_images + result.variance_of_pairs);
    result.standard_error =
        std::sqrt(std::max(result.variance_of_images, 0.0) + std::max(result.variance_of_pairs, 0.0));
  }
  return result;
}

}  // namespace ddpm_eval::metrics::detail
