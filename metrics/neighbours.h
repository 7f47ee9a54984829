#pragma once

#include "metrics/point_distances.h"

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

// What the nearest neighbours of images in feature space say: improved precision and recall (Kynkaanniemi et
// al. 2019), density and coverage (Naeem et al. 2020), and copies of real images. Every image has a ball
// whose radius is the distance to its k-th nearest neighbour in its own set.
namespace ddpm_eval::metrics {

/// In what the distances are that are compared with one another.
enum class DistanceArithmetic {
  kFloat64,  ///< of the float32 features; what tools compute in float32, without its rounding
  /// Squared and in half precision, as the ADM suite computes them: of features rounded to float16, as
  /// |x|^2 - 2 x.y + |y|^2 with every step rounded, at least 0. Its steps are 0.25 where Inception features
  /// lie. ADM repeats a batch of 10,000 x 10,000 images in float32 where half precision overflows; here a
  /// batch in which a squared norm is beyond 16,000, so that it might, is compared by kFloat64. In which
  /// order TensorFlow adds up the squares of a norm is not known; here the sum is rounded once.
  kHalf,
};

struct NeighbourRule {
  int64_t k = 3;
  /// Whether a ball holds what lies at exactly its radius: `<=`, as in the paper and most tools. False: `<`,
  /// as prdc and dgm-eval.
  bool inclusive = true;
  DistanceArithmetic arithmetic = DistanceArithmetic::kFloat64;
  /// Rows that are multiplied at a time; 0 chooses. Memory grows with it; results do not depend on it.
  int64_t block_rows = 0;
};

struct NeighbourScores {
  double precision = 0.0;     ///< fakes_in_balls / fake
  double recall = 0.0;        ///< reals_in_balls / real
  double f_score = 0.0;       ///< 2 P R / max(1e-5, P + R)
  double density = 0.0;       ///< hits / (k fake): around 1 for equal distributions, and may be above
  double coverage = 0.0;      ///< balls_hit / real: see expected_coverage()
  double authenticity = 0.0;  ///< authentic / fake
  int64_t k = 0;
  int64_t real = 0;            ///< images
  int64_t fake = 0;            ///< images
  int64_t fakes_in_balls = 0;  ///< fake images within the ball of at least one real image
  int64_t reals_in_balls = 0;  ///< real images within the ball of at least one fake image
  int64_t hits = 0;            ///< pairs of a fake image and a real image whose ball holds it
  int64_t balls_hit = 0;       ///< real images whose ball holds at least one fake image
  /// Fake images that are farther from the nearest real image than that is from its own nearest real
  /// neighbour (Alaa et al. 2022, as dgm-eval computes it; it gives 100 times the share).
  int64_t authentic = 0;
  std::vector<int64_t> balls_of_fake;    ///< of each fake image: real images whose ball holds it
  std::vector<int64_t> sole_balls;       ///< of each fake image: those of them that hold no other one
  std::vector<int64_t> nearest_real;     ///< of each fake image; of several equally near ones the first
  std::vector<double> nearest_distance;  ///< of each fake image, not squared; 0 for a copy
};

/// All of the above from one look at every pair. `real` is float32 [n, d] and `fake` float32 [m, d], on the
/// CPU.
///
/// An image is no neighbour of itself, which goes by its place in the set and not by a distance of 0: of an
/// image and its copy each is the other's neighbour, and k + 1 equal images have balls of radius 0, which
/// hold further copies by `<=` and nothing by `<`. kynkaat's code and its descendants instead leave out the
/// smallest of all distances of a row, which is the same.
///
/// Distances come out of float32 matrix products with bounds on their error; where the bounds do not decide a
/// comparison, the distance is worked out from its two rows. So the results do not depend on threads, blocks
/// or the library that multiplies. Time O((n^2 + m^2) d / 2 + n m d), more where very many distances are
/// equal to within 1e-7 d of the features' own length; memory about 100 MB beside the features, and 8 k (n +
/// m) bytes. Throws UsageError for k below 1, and DataError for no more than k images on a side, differing
/// dimensions, NaN or infinity.
NeighbourScores neighbour_scores(const at::Tensor& real, const at::Tensor& fake,
                                 const NeighbourRule& rule = {}, const DistanceProgress& progress = {});

/// The mean of the coverage of `real` images by `fake` ones of the same continuous distribution: 1 - the
/// product over i = 1..k of (real - i) / (fake + real - i), which for equal counts tends to 1 - 2^-k (Naeem
/// et al. 2020). 1 <= k < real and fake >= 1.
double expected_coverage(int64_t real, int64_t fake, int64_t k);

}  // namespace ddpm_eval::metrics
