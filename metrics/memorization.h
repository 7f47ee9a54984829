#pragma once

#include "metrics/point_distances.h"

#include <ATen/core/Tensor.h>

// The memorization-informed Frechet distance (MiFID; Bai et al. 2021), as torchmetrics 1.9 computes it: a
// Frechet distance divided by how far the sets' images are from each other, where they are nearer than any
// honest sample would be.
namespace ddpm_eval::metrics {

/// Cosine distances below this divide the Frechet distance.
inline constexpr double kMemorizationThreshold = 0.1;

/// The mean over the real images of the smallest 1 - |cos| between its features and those of a fake image.
/// Which side is averaged over is torchmetrics' choice. Images whose features are all 0 are left out;
/// torchmetrics leaves out those whose sum is 0, which of features that are not negative is the same. `real`
/// is float32 [n, d], `fake` float32 [m, d], on the CPU. Angles come out of float32 products with bounds on
/// their error, and those that may be the smallest are worked out in float64: a copy reads 0 to 1e-15. Where
/// these are many, as of fake images that are all alike, a block is multiplied in float64. Time O(n m d),
/// memory about 200 MB beside the features. Throws DataError for an empty side or one of zeros alone,
/// differing dimensions, NaN or infinity.
double nearest_cosine_distance(const at::Tensor& real, const at::Tensor& fake,
                               const DistanceProgress& progress = {});

/// `frechet` / (`distance` + 1e-14) where `distance` is below kMemorizationThreshold, else `frechet` / (1 +
/// 1e-14); and 0 for a `frechet` of up to 1e-8.
double memorization_informed_distance(double frechet, double distance);

}  // namespace ddpm_eval::metrics
