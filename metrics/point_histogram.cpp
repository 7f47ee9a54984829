#include "metrics/point_histogram.h"

#include "base/core/error.h"
#include "metrics/point_pairs.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

namespace ddpm_eval::metrics {
namespace {

constexpr int64_t kPointsPerCell = 10;
constexpr int64_t kFewestBins = 2;
constexpr int64_t kMostBins = 1000;

void check_plane(const at::Tensor& real, const at::Tensor& fake) {
  detail::check_points(real, fake, 1);
  if (real.size(1) != 2) {
    throw core::DataError("a histogram over the plane takes points of 2 coordinates, not {}", real.size(1));
  }
}

/// One axis, whose edges are those of numpy.linspace.
class Axis {
 public:
  Axis(double low, double high, int64_t bins) {
    const double step = (high - low) / static_cast<double>(bins);
    for (int64_t i = 0; i < bins; ++i) {
      edges_.push_back(low + static_cast<double>(i) * step);
    }
    edges_.push_back(high);
  }

  std::optional<int64_t> bin_of(double value) const {
    if (value < edges_.front() || value > edges_.back()) {
      return std::nullopt;
    }
    const auto above = std::upper_bound(edges_.begin(), edges_.end() - 1, value);
    return above - edges_.begin() - 1;
  }

 private:
  std::vector<double> edges_;
};

/// Counts by cells, and last those beyond the grid.
std::vector<int64_t> counts_of(const at::Tensor& points, const PointGrid& grid) {
  const Axis x(grid.low[0], grid.high[0], grid.bins), y(grid.low[1], grid.high[1], grid.bins);
  std::vector<int64_t> counts(static_cast<size_t>(grid.bins * grid.bins + 1));
  const auto rows = points.contiguous();
  const auto* values = rows.data_ptr<float>();
  for (int64_t i = 0; i < rows.size(0); ++i) {
    const auto column = x.bin_of(values[2 * i]), row = y.bin_of(values[2 * i + 1]);
    const bool inside = column && row;
    ++counts[inside ? static_cast<size_t>(*column * grid.bins + *row) : counts.size() - 1];
  }
  return counts;
}

}  // namespace

PointGrid grid_of(const at::Tensor& real) {
  check_plane(real, real);
  PointGrid grid;
  const auto cells = static_cast<double>(real.size(0)) / static_cast<double>(kPointsPerCell);
  grid.bins = std::clamp(static_cast<int64_t>(std::sqrt(cells)), kFewestBins, kMostBins);
  for (int axis = 0; axis < 2; ++axis) {
    const auto column = real.select(1, axis);
    grid.low[axis] = column.min().item<float>();
    grid.high[axis] = column.max().item<float>();
    if (grid.low[axis] == grid.high[axis]) {
      throw core::DataError("all real points have the same {}, so that a histogram of it has no range",
                            axis == 0 ? "x" : "y");
    }
  }
  return grid;
}

HistogramDivergence histogram_divergence(const at::Tensor& real, const at::Tensor& fake,
                                         const PointGrid& grid) {
  check_plane(real, fake);
  DDPM_CHECK(grid.bins >= 1 && grid.low[0] < grid.high[0] && grid.low[1] < grid.high[1], "an empty grid");
  const auto of_real = counts_of(real, grid), of_fake = counts_of(fake, grid);
  const double added = kPseudoCount * static_cast<double>(of_real.size());
  const double n = static_cast<double>(real.size(0)) + added;
  const double m = static_cast<double>(fake.size(0)) + added;
  HistogramDivergence result;
  for (size_t cell = 0; cell < of_real.size(); ++cell) {
    const double p = (static_cast<double>(of_real[cell]) + kPseudoCount) / n;
    const double q = (static_cast<double>(of_fake[cell]) + kPseudoCount) / m;
    result.value += p * std::log(p / q);
  }
  result.fake_outside = of_fake.back();
  return result;
}

}  // namespace ddpm_eval::metrics
