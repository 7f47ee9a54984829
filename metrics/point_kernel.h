#pragma once

#include "metrics/kernel_distance.h"

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::metrics {

/// The squared maximum mean discrepancy of points and the width of its kernel.
struct PointDiscrepancy {
  KernelEstimate estimate;
  double bandwidth = 0.0;        ///< sigma of exp(-|x - y|^2 / (2 sigma^2)), in the points' unit
  int64_t bandwidth_points = 0;  ///< real points whose distances it is the median of
};

/// As many real points at most decide on the bandwidth.
inline constexpr int64_t kBandwidthPoints = 2000;

/// The median of the distances between all pairs of `points`, float32 [n, d], of which those of more than
/// kBandwidthPoints are every n / kBandwidthPoints-th: the "median heuristic" (Gretton et al. 2012, section
/// 8). The mean of the two in the middle where their number is even. Throws DataError for fewer than two
/// points, NaN or infinity, and where the median is 0: most points are the same one.
double median_distance(const at::Tensor& points);

/// The unbiased squared MMD (Gretton et al. 2012, eq. 3) under the Gaussian kernel exp(-|x - y|^2 / (2
/// sigma^2)) with its standard error, as kernel_estimate() has them. sigma is the median_distance() of the
/// real points alone, so that scores against the same real points are of one kernel. `real` float32 [n, d],
/// `fake` float32 [m, d]; n, m >= 2. Equal distributions read 0 on average and single values may be below it.
/// Distances are taken from differences, in float64: points far away take no digits from the others. Time
/// O((n + m)^2 d), memory some 150 MB whatever n and m; the same bits for the same number of threads. Throws
/// DataError as energy_distance() and median_distance().
PointDiscrepancy squared_mmd(const at::Tensor& real, const at::Tensor& fake,
                             const DistanceProgress& progress = {});

}  // namespace ddpm_eval::metrics
