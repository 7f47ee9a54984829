#pragma once

#include <cstdint>
#include <span>
#include <vector>

// What a table over seeds says of its numbers. All arithmetic is float64 and all results are exact functions
// of the values: nothing is drawn.
namespace ddpm_eval::core {

/// Of n values. `sd` is the sample standard deviation (divided by n - 1), 0 for a single value.
struct MeanSd {
  int64_t count = 0;
  double mean = 0;
  double sd = 0;

  /// Standard error of the mean, sd / sqrt(n).
  double error() const;
};

/// `values` must be finite and not empty.
MeanSd mean_and_sd(std::span<const double> values);

/// As many values as sign_flip_p() takes.
inline constexpr int64_t kMaxSignFlips = 40;

/// The two-sided paired sign-flip (randomisation) test of the mean of `differences` against 0 (Fisher 1935;
/// the "samples" permutations of scipy.stats.permutation_test): the share of the 2^n ways to choose the signs
/// whose |sum| is at least that of the signs found. Exact for every n up to kMaxSignFlips, by counting pairs
/// of half sums. Sums that differ by rounding alone count as equal. 1 for no differences at all.
double sign_flip_p(std::span<const double> differences);

/// The smallest p that sign_flip_p() can give for n differences: 2 / 2^n, and 1 for none.
double smallest_sign_flip_p(int64_t n);

/// Holm's step-down correction (Holm 1979), in the order given: the i-th smallest of m p-values becomes the
/// largest of (m - j + 1) p_(j) over j <= i, at most 1. A family-wise error of alpha is kept by calling those
/// below alpha significant.
std::vector<double> holm(std::span<const double> p_values);

/// The value that Student's t with `freedom` > 0 degrees of freedom, which need not be whole, stays below
/// with `probability` in (0, 1): through the incomplete beta function by its continued fraction, to some
/// 1e-12.
double student_t_quantile(double probability, double freedom);

/// The value that `share` of [0, 1] of the values lie below, linear between the two around the place:
/// numpy.quantile. At least one value; they are reordered.
double quantile(std::vector<double>& values, double share);

}  // namespace ddpm_eval::core
