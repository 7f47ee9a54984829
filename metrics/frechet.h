#pragma once

#include "metrics/moments.h"

#include <string>
#include <vector>

namespace ddpm_eval::metrics {

/// How the trace of the square root of the product of the covariances is found.
enum class SqrtMethod {
  kSymmetric,  ///< trace_sqrt_product()
  kGeneral,    ///< trace_sqrt_product_general(), as pytorch-fid does
};

/// The Frechet distance and its parts: distance = mean_term + trace_real + trace_fake - 2 trace_sqrt.
struct FrechetParts {
  double distance = 0.0;    ///< as computed: for equal sets it may be -1e-10 and is not clamped
  double mean_term = 0.0;   ///< |mu_real - mu_fake|^2
  double trace_real = 0.0;  ///< tr S_real
  double trace_fake = 0.0;
  double trace_sqrt = 0.0;         ///< tr (S_real S_fake)^(1/2)
  std::string route;               ///< how trace_sqrt was found: see TraceSqrt
  std::vector<std::string> notes;  ///< what a reader of the number should know, a line each
};

/// The squared Frechet (2-Wasserstein) distance between two normal distributions with these moments (Dowson &
/// Landau 1982; Heusel et al. 2017, eq. 6): FID when the features are the FID Inception's.
///
/// Throws DataError, naming the side, if the dimensions differ, anything is NaN or infinite, a covariance is
/// not symmetric to tensor::kSymmetryTolerance, or a variance is negative. Pass moments that are no longer
/// needed with std::move: their memory is reused.
FrechetParts frechet_distance(Moments real, Moments fake, SqrtMethod method = SqrtMethod::kSymmetric);

}  // namespace ddpm_eval::metrics
