#pragma once

#include "metrics/moments.h"
#include "metrics/uncertainty.h"

#include <cstdint>

#include <ATen/core/Tensor.h>

// How far the Frechet distance of some images may be from the one that new images, or infinitely many, would
// have. It needs the features themselves, float32 [N, d]: 8 kB an image at 2048 features, 410 MB for 50,000.
namespace ddpm_eval::metrics {

enum class IntervalMethod {
  /// The distance is computed anew without each of `groups` random groups, whose moments are subtracted, and
  /// without groups / 2 pairs of them: deviation and bias come from nothing but distances.
  kJackknife,
  /// Derivatives of the distance at the moments found: see metrics/frechet_expansion.h. The deviation
  /// scatters less than the jackknife's, but the bias comes out too small by about d / N of itself, which is
  /// much beside the deviation: there is no `at_infinity`.
  kDelta,
};

struct FrechetIntervalOptions {
  IntervalMethod method = IntervalMethod::kJackknife;
  int64_t groups = 20;  ///< of the jackknife; 20 to 50
  double level = 0.95;  ///< nominal coverage
  uint64_t seed = 0;    ///< of the groups, or of the pairs of images whose second derivatives are averaged
};

/// Uncertainty of frechet_distance() over new images on both sides. `real` float32 [n, d], `fake` float32 [m,
/// d], in any order: groups are random. `value` equals frechet_distance() of the moments in this order, bit
/// for bit.
///
/// Both intervals use Student's t, with groups - 1 degrees of freedom for the jackknife and the smaller count
/// less one for the delta method. `at_count` is symmetric around the root of the value, squared;
/// `at_infinity` is the same less the bias.
///
/// Between equal distributions the first derivative of the distance vanishes. The scatter that is left is
/// that of its second, which both methods know of; `at_count` then holds some 98 instead of 95 %, and
/// `at_infinity` may reach below 0.
///
/// Withheld, with the reason: both below 2 d images on a side, where covariances are (nearly) singular and
/// the distance is no smooth function of them; `at_infinity` also with the delta method, and where what is
/// left of the bias at 1/N^2, up to a quarter of bias * d / N, could move it by half a deviation.
///
/// Throws DataError as frechet_distance() and MomentsAccumulator::finish() do, and UsageError for fewer than
/// 4 groups or a level outside (0, 1).
///
/// Time: 3 / 2 groups distances by the jackknife; one decomposition and two products [N, d] x [d, d] a side
/// by the delta method.
Uncertainty frechet_interval(const at::Tensor& real, const at::Tensor& fake,
                             const FrechetIntervalOptions& options = {},
                             const UncertaintyProgress& progress = {});

/// The same against stored statistics, behind which there are no images: conditional on them. The distance of
/// new fake images from these very statistics is what `at_count` is about, and the limit of infinitely many
/// fake images against them what `at_infinity` is about; neither tells what another reference set would give.
Uncertainty frechet_interval(const Moments& real, const at::Tensor& fake,
                             const FrechetIntervalOptions& options = {},
                             const UncertaintyProgress& progress = {});

/// The moments of `all` without those of `part`, which are among them: counts, means and scatter matrices are
/// subtracted. `part` has at least 2 vectors, and `all` at least 2 more.
Moments without(const Moments& all, const Moments& part);

}  // namespace ddpm_eval::metrics
