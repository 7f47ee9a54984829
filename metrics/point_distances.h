#pragma once

#include <cstdint>
#include <functional>

#include <ATen/core/Tensor.h>

// Distances between two sets of points, for data in the plane, where no feature network is involved, and for
// features. All arithmetic is float64, all results are deterministic.
namespace ddpm_eval::metrics {

/// Called now and then with the directions or pairs of points done and their number; what it throws ends the
/// work.
using DistanceProgress = std::function<void(int64_t done, int64_t total)>;

struct SlicedWassersteinOptions {
  int64_t projections = 128;
  double p = 2.0;     ///< at least 1
  uint64_t seed = 0;  ///< of the directions; unused below three dimensions
};

/// ( mean over directions of W_p^p of the projected sets )^(1/p): rooted, so it has the points' unit and
/// grows linearly with a shift (Rabin et al. 2011; Bonneel et al. 2015). `real` float32 [n, d], `fake`
/// float32 [m, d]. The one-dimensional distance is exact for any n and m, from the two quantile functions. In
/// the plane the directions are pi k / projections, k = 0, 1, ..., and for p = 2 a shift by delta reads
/// exactly |delta| / sqrt(2); in three or more dimensions they are drawn uniformly. Throws DataError for an
/// empty set, differing dimensions, NaN or infinity, and UsageError for fewer than one projection or p
/// below 1.
double sliced_wasserstein(const at::Tensor& real, const at::Tensor& fake,
                          const SlicedWassersteinOptions& options = {},
                          const DistanceProgress& progress = {});

/// The directions of a score on features: so many, and from the seed, that torch-fidelity's MIND takes.
inline constexpr SlicedWassersteinOptions kFeatureDirections{.projections = 1000, .seed = 2020};

/// The same along `directions`, float64 [k, d], which are unit vectors. Memory beside the sets does not grow
/// with d. Throws DataError as above.
double sliced_wasserstein_along(const at::Tensor& directions, const at::Tensor& real, const at::Tensor& fake,
                                double p = 2.0, const DistanceProgress& progress = {});

/// What the sliced 2-Wasserstein distance of two distributions tends to for many features that depend on
/// each other weakly (Nadjahi et al. 2021, in the form of dgm-eval's sw_approx); of sets that are nearer than
/// their own scatter it reads less. With means m, and total variances v (divided by the count, not the count
/// - 1), it is the root of (|m_real - m_fake|^2 + (sqrt(v_real) - sqrt(v_fake))^2) / d. No directions are
/// drawn. `real` float32 [n, d], `fake` float32 [m, d]. Throws DataError as sliced_wasserstein().
double sliced_wasserstein_approximation(const at::Tensor& real, const at::Tensor& fake);

/// 2 E|X - Y| - E|X - X'| - E|Y - Y'| (Szekely & Rizzo 2013) in its unbiased form: a point is not compared
/// with itself, so equal distributions read 0 on average and single values may be slightly negative. Not
/// rooted. `real` float32 [n, d], `fake` float32 [m, d]; n, m >= 2. Time O((n + m)^2 d), memory bounded.
/// Throws DataError for fewer than two points on a side, differing dimensions, NaN or infinity, and where
/// points lie so far from the others that nothing but rounding is left.
double energy_distance(const at::Tensor& real, const at::Tensor& fake, const DistanceProgress& progress = {});

}  // namespace ddpm_eval::metrics
