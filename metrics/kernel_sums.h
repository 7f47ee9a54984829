#pragma once

#include "metrics/feature_pairs.h"
#include "metrics/kernel_distance.h"

#include <vector>

#include <ATen/core/Tensor.h>

// Private to metrics: sums of a kernel over all pairs of two sets.
namespace ddpm_eval::metrics::detail {

/// The kernel less a constant, which is the same in all sums. A row's sum is over all others of a set: an
/// image and itself make no pair.
struct KernelSums {
  std::vector<double> real_real;  ///< [n] of k(x_i, x_j) over j != i
  std::vector<double> fake_fake;  ///< [m]
  std::vector<double> real_fake;  ///< [n] of k(x_i, y_j) over j
  std::vector<double> fake_real;  ///< [m] of k(x_i, y_j) over i
  double real_squares = 0.0;      ///< of k^2 over all i != j
  double fake_squares = 0.0;
  double cross_squares = 0.0;
};

/// float32 [n, d] and [m, d] without gaps.
KernelSums kernel_sums(const at::Tensor& real, const at::Tensor& fake, const Kernel& kernel,
                       PairProgress& progress);

/// The unbiased estimate and its variance from the sums: see kernel_estimate(). Throws DataError for sums
/// that are not finite.
KernelEstimate estimate_from(const KernelSums& sums);

/// Throws DataError: the features are too large for the kernel.
void require_finite_kernel(double value);

/// How many pairs kernel_sums() tells the progress of.
int64_t pairs_of_kernel_sums(const at::Tensor& real, const at::Tensor& fake);

}  // namespace ddpm_eval::metrics::detail
