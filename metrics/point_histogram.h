#pragma once

#include <array>
#include <cstdint>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::metrics {

/// A grid over the plane: `bins` equal intervals on each axis, closed on the left, the last one on both
/// sides, as numpy.histogram2d has them.
struct PointGrid {
  std::array<double, 2> low{}, high{};  ///< of x and y
  int64_t bins = 0;                     ///< on each axis
};

/// The smallest grid that holds all of `real`, float32 [n, 2], with floor(sqrt(n / 10)) bins on each axis, so
/// that a cell has ten points on average (the rule of ddpm-torch's toy evaluation), but at least 2 and at
/// most 1000. Throws DataError for no points, other than two coordinates, NaN or infinity, and for points
/// that all have the same coordinate on an axis, which has no range then.
PointGrid grid_of(const at::Tensor& real);

struct HistogramDivergence {
  double value = 0.0;        ///< in nats
  int64_t fake_outside = 0;  ///< fake points beyond the grid, which share one cell of their own
};

/// Added to the count of every cell on both sides: Jeffreys' prior, so that an empty cell costs something and
/// not infinitely much.
inline constexpr double kPseudoCount = 0.5;

/// The Kullback-Leibler divergence KL(real || fake) = sum p ln(p / q) of the histograms p and q of both sides
/// over the cells of `grid` and one more for all beyond it, smoothed by kPseudoCount. That direction weighs
/// what the fake points leave out by the real ones that are there. Equal counts read 0. It depends on the
/// grid and on both numbers of points: expected values are above 0 for equal distributions. `real` float32
/// [n, 2], `fake` float32 [m, 2]. Throws DataError as grid_of().
HistogramDivergence histogram_divergence(const at::Tensor& real, const at::Tensor& fake,
                                         const PointGrid& grid);

}  // namespace ddpm_eval::metrics
