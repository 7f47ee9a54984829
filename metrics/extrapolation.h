#pragma once

#include "metrics/moments.h"
#include "metrics/uncertainty.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

// Scores of infinitely many images by a line through those of fewer (Chong & Forsyth 2020, "Effectively
// Unbiased FID and Inception Score"): both scores are off by about c / N, so the intercept of a line in 1 / N
// is the limit.
namespace ddpm_eval::metrics {

struct ExtrapolationOptions {
  int64_t sizes = 15;    ///< at least 3; fewer where there are fewer integers
  int64_t smallest = 0;  ///< 0: first_size()
  uint64_t seed = 0;     ///< of the one shuffle whose beginnings are scored
};

/// A fit by least squares: value = intercept + slope / size.
struct Extrapolation {
  std::vector<int64_t> sizes;  ///< ascending; the last is N
  std::vector<double> values;
  double intercept = 0.0;  ///< the score of infinitely many images
  double slope = 0.0;
  double r_squared = 0.0;  ///< 1 - sum of squared residuals / of squared deviations from the mean
  /// Standard deviation of the intercept over new images. The scores of beginnings of one set depend on each
  /// other: to first order, score(1/N) is a straight line plus Brownian motion in 1/N, whose increments are
  /// independent with variance sigma^2 (1/n - 1/m). sigma^2 is estimated from them, with sizes - 2 degrees of
  /// freedom, and carried through the least squares. The usual error of a fitted intercept, which takes the
  /// residuals for independent, is some four times too small.
  double intercept_deviation = 0.0;
  std::vector<std::string> notes;  ///< what a reader of the number should know, a line each
};

/// Where the sizes begin for N vectors of d features: min(5000, max(N / 10, min(2 d, N / 2), 2)). That is the
/// 5,000 of Chong & Forsyth for 50,000 images of the FID Inception; dgm-eval's min(5000, max(N / 10, 2))
/// where there are enough images; and otherwise no less than 2 d if it can be, because the law of 1 / N is
/// none below.
int64_t first_size(int64_t count, int64_t features);

/// FID-infinity. The fake images, float32 [N, d], are shuffled once, and the beginnings of `sizes` lengths,
/// evenly spaced (truncated to integers), are held against all of the real side, so that moments are summed
/// once; the published code draws a new subset for every size. Only the fake side's bias goes: the intercept
/// is the distance of infinitely many fake images from this reference. Throws DataError as frechet_distance()
/// does and for fewer than 3 different sizes, UsageError for `sizes` below 3 or `smallest` not in 2..N. Time:
/// one distance a size, each 0.7 s at d = 2048 on two cores.
Extrapolation frechet_infinity(const Moments& real, const at::Tensor& fake,
                               const ExtrapolationOptions& options = {},
                               const UncertaintyProgress& progress = {});

/// IS-infinity, of float32 logits [N, classes] alike, with one split at every size; d is the number of
/// classes.
Extrapolation score_infinity(const at::Tensor& logits, const ExtrapolationOptions& options = {});

/// About how far the distance of fewer images than features is above that of infinitely many fake ones: the
/// mean distance of four random halves of the fake images less `distance`, that of all of them. By the law of
/// 1 / N the two are equal, and so few images follow it roughly: by the Marchenko-Pastur law, of equal
/// distributions with features of one variance, the estimate is 1.25 times the bias for as many images as
/// features, 0.5 times for half as many, and less below. None where there are as many images as features or
/// fewer than 4, whose rows `fake` does not have. Time: four distances of so few.
std::optional<double> bias_of_few(const Moments& real, const Moments& fake, double distance,
                                  uint64_t seed = 0);

/// The fit alone, of scores of the beginnings of one shuffled set. At least 3 ascending sizes.
Extrapolation fit_in_inverse_size(std::vector<int64_t> sizes, std::vector<double> values);

}  // namespace ddpm_eval::metrics
