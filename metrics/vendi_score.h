#pragma once

#include <cstdint>
#include <optional>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::metrics {

struct VendiScore {
  /// The effective number of different images: from 1, where all features point in one direction, to the
  /// smaller of the count and the number of features.
  double value = 0.0;
  /// Of `value` around its mean at this count, by the derivative of the entropy at the matrix that was found.
  /// None below two images a feature, where that derivative is of a nearly singular matrix.
  std::optional<double> standard_error;
};

/// Friedman & Dieng 2023, of order 1 and the cosine kernel, as dgm-eval computes it: exp(- sum l log l) over
/// the eigenvalues l of the matrix of cosines between all images, divided by their count n. Those that are
/// not 0 are also the eigenvalues of X^T X / n with unit rows X, which is what is decomposed where it is
/// smaller.
///
/// It is a plug-in that rises with n: compare it at equal counts. dgm-eval works in the features' float32,
/// whose rounding adds up to n - d small eigenvalues; here all is float64.
///
/// `features` is float32 [n, d] on the CPU, n >= 2. Time O(n d min(n, d)), memory some 5 min(n, d)^2 numbers
/// and blocks of 512 rows, all in float64. Throws DataError for fewer images, NaN or infinity, and features
/// that are all 0.
VendiScore vendi_score(const at::Tensor& features);

}  // namespace ddpm_eval::metrics
