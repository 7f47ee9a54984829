#pragma once

#include <array>
#include <functional>
#include <span>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::metrics {

/// A smooth curve in the plane: its point at u, from 0 to 1.
using PlaneCurve = std::function<std::array<double, 2>(double u)>;

/// The Euclidean distance of each point to the nearest point of any of the curves, float64 [n]. `points`
/// float32 [n, 2]. The curve is looked at in 4096 pieces; where the distance along them is smallest it is
/// followed between them by golden sections. Exact to 1e-9 of the curve's extent if the curve bends little
/// within a piece and u runs along it at a speed that is nowhere 0. Throws DataError for NaN, infinity, and
/// other than two coordinates.
at::Tensor distances_to_curves(const at::Tensor& points, std::span<const PlaneCurve> curves);

/// Of distances: how far samples are off the set that noise was added to.
struct OffManifold {
  double mean = 0.0;
  double q95 = 0.0;  ///< the 95 % quantile, linear between neighbours, as numpy.quantile
};

/// Throws DataError for no points, and as above.
OffManifold off_manifold(const at::Tensor& points, std::span<const PlaneCurve> curves);

}  // namespace ddpm_eval::metrics
