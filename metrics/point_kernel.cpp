#include "metrics/point_kernel.h"

#include "base/core/error.h"
#include "metrics/kernel_sums.h"
#include "metrics/point_pairs.h"

#include <algorithm>
#include <vector>

namespace ddpm_eval::metrics {
namespace {

/// Adds the rows of `values`, float64 [rows, columns], to sums[first], sums[first + 1], ...; returns the sum
/// of all squares. Row by row: LibTorch adds up a whole in an order that depends on the threads.
double add_rows(const at::Tensor& values, int64_t first, std::vector<double>& sums) {
  const auto rows = values.sum(1), squares = values.square().sum(1);
  double all = 0.0;
  for (int64_t i = 0; i < values.size(0); ++i) {
    sums[static_cast<size_t>(first + i)] += rows.data_ptr<double>()[i];
    all += squares.data_ptr<double>()[i];
  }
  return all;
}

/// The sums of one kernel over pairs of points.
class GaussianSums {
 public:
  GaussianSums(double sigma, detail::PairProgress& progress)
      : factor_(-0.5 / (sigma * sigma)), progress_(progress) {}

  /// Over pairs of different points of one set; returns the sum of squares.
  double within(const at::Tensor& x, std::vector<double>& sums) {
    double squares = 0.0;
    for_blocks(x, x, [&](int64_t first, const at::Tensor& values) {
      // A point and itself make no pair. Their distance is exactly 0.
      values.diagonal(first).zero_();
      squares += add_rows(values, first, sums);
    });
    return squares;
  }

  double between(const at::Tensor& x, const at::Tensor& y, std::vector<double>& rows,
                 std::vector<double>& columns) {
    double squares = 0.0;
    for_blocks(x, y, [&](int64_t first, const at::Tensor& values) {
      squares += add_rows(values, first, rows);
      const auto of_columns = values.sum(0);
      for (size_t j = 0; j < columns.size(); ++j) {
        columns[j] += of_columns.data_ptr<double>()[j];
      }
    });
    return squares;
  }

 private:
  template <class Consume>
  void for_blocks(const at::Tensor& x, const at::Tensor& y, const Consume& consume) {
    detail::for_all_distances(x, y, [&](int64_t first, const at::Tensor& distances) {
      consume(first, distances.square_().mul_(factor_).exp_());
      progress_.add(distances.numel());
    });
  }

  double factor_;
  detail::PairProgress& progress_;
};

/// Every n / count-th of n rows.
at::Tensor spread_rows(const at::Tensor& rows, int64_t count) {
  const int64_t n = rows.size(0);
  return count >= n ? rows : rows.index_select(0, torch::arange(count).mul(n).floor_divide(count));
}

}  // namespace

double median_distance(const at::Tensor& points) {
  detail::check_points(points, points, 2);
  const auto some = spread_rows(points, kBandwidthPoints).to(at::kDouble);
  std::vector<double> distances;
  distances.reserve(static_cast<size_t>(some.size(0) * (some.size(0) - 1) / 2));
  detail::for_all_distances(some, some, [&](int64_t first, const at::Tensor& block) {
    for (int64_t i = 0; i < block.size(0); ++i) {
      const auto* row = block.data_ptr<double>() + i * block.size(1);
      distances.insert(distances.end(), row + first + i + 1, row + block.size(1));
    }
  });
  const auto middle = distances.begin() + static_cast<int64_t>(distances.size() / 2);
  std::nth_element(distances.begin(), middle, distances.end());
  const double upper = *middle;
  const double lower = distances.size() % 2 == 1 ? upper : *std::max_element(distances.begin(), middle);
  const double median = lower + (upper - lower) / 2;
  if (!(median > 0.0)) {
    throw core::DataError(
        "most real points are one and the same: the median of their distances, which is the bandwidth of the "
        "maximum mean discrepancy, is 0");
  }
  return median;
}

PointDiscrepancy squared_mmd(const at::Tensor& real, const at::Tensor& fake,
                             const DistanceProgress& progress) {
  detail::check_points(real, fake, 2);
  PointDiscrepancy result;
  result.bandwidth = median_distance(real);
  result.bandwidth_points = std::min(real.size(0), kBandwidthPoints);
  const auto x = real.to(at::kDouble), y = fake.to(at::kDouble);
  const int64_t n = x.size(0), m = y.size(0);
  detail::PairProgress counter(n * n + m * m + n * m, progress);
  GaussianSums kernel(result.bandwidth, counter);
  detail::KernelSums sums;
  sums.real_real.resize(static_cast<size_t>(n));
  sums.real_fake.resize(static_cast<size_t>(n));
  sums.fake_fake.resize(static_cast<size_t>(m));
  sums.fake_real.resize(static_cast<size_t>(m));
  sums.real_squares = kernel.within(x, sums.real_real);
  sums.fake_squares = kernel.within(y, sums.fake_fake);
  sums.cross_squares = kernel.between(x, y, sums.real_fake, sums.fake_real);
  result.estimate = detail::estimate_from(sums);
  return result;
}

}  // namespace ddpm_eval::metrics
