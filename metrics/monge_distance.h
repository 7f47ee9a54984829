#pragma once

#include "metrics/point_distances.h"

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::metrics {

struct MongeDistanceRule {
  int64_t projections = 1000;
  uint64_t seed = 2020;  ///< of PyTorch's generator for the processor
};

struct MongeDistance {
  double value = 0.0;
  int64_t count = 0;  ///< of images on each side that were compared
};

/// MIND (Berthet et al. 2026) as torch-fidelity's master computes it: 3 d times the mean over random
/// directions of the squared 2-Wasserstein distance of the projections. The larger set is cut to a random
/// subset of the smaller one's size; subset and directions are PyTorch's of that seed, and so the tool's own
/// on the same version of PyTorch. Projections and sums are float64, the tool's float32: the two agree to
/// some 1e-6. `real` float32 [n, d], `fake` float32 [m, d]. Throws DataError for an empty set, differing
/// dimensions, NaN or infinity, and UsageError for fewer than one projection.
MongeDistance monge_distance(const at::Tensor& real, const at::Tensor& fake,
                             const MongeDistanceRule& rule = {}, const DistanceProgress& progress = {});

}  // namespace ddpm_eval::metrics
