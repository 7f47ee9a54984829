#pragma once

#include "metrics/moments.h"
#include "metrics/uncertainty.h"

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::metrics {

/// What the second-order expansion of the Frechet distance in the empirical distributions says of its
/// scatter.
struct FrechetExpansion {
  double variance = 0.0;   ///< of the distance, to second order
  double quadratic = 0.0;  ///< the part of it that comes from the second derivative
  double bias = 0.0;       ///< of the distance, to first order in 1/N
};

/// The expansion at the moments of the two sides (von Mises 1947; Hoeffding 1948 for the terms).
///
/// With S_real = P^T P and P S_fake P^T = V^T diag(lambda) V, the vectors z = V P (x - mu_fake) of fake
/// images and y = diag(lambda)^(-1/2) V P S_fake (x - mu_real) of real ones both have the second moment
/// diag(lambda), and sum sqrt(lambda) is the trace of the distance. The first derivative in the direction of
/// one fake image is
///   psi(x) = 2 (mu_fake - mu_real) . c + |c|^2 - sum z_i^2 / sqrt(lambda_i) - its mean,   c = x - mu_fake,
/// alike for real ones with the other sign of the means, and the second in the direction of two fake or two
/// real images is
///   k(z, z') = 2 sum u_i / sqrt(lambda_i) + sum_ij Omega_ij (z_i z_j - lambda_i [i = j]) (z'_i z'_j - ...),
///   u_i = z_i z'_i,   Omega_ij = 1 / (sqrt(lambda_i lambda_j) (sqrt(lambda_i) + sqrt(lambda_j))),
/// and -k(z, y) for one of each. The variance of a side is var psi / N, from which the quadratic parts
/// E k^2 / (2 N^2) of both sides and E k^2 / (n m) of the two together are taken once: psi at estimated
/// moments holds them twice, and all of it is them where the distributions are equal. The bias of a side is
/// half the mean of k(z, z) over its images, in which the means take part by |c|^2 alone, divided by N.
///
/// `real_features` float32 [n, d] may be undefined: the reference is then taken as it is. `fake_features`
/// float32 [m, d]. The moments are those of the features. `seed` draws the pairs over which k^2 is averaged:
/// 4,096 of each kind, or what there are. Directions in which a covariance is singular are left out.
/// Time: one eigen-decomposition of [d, d], and two products [N, d] x [d, d] a side.
FrechetExpansion expand_frechet(const Moments& real, const Moments& fake, const at::Tensor& real_features,
                                const at::Tensor& fake_features, uint64_t seed,
                                const UncertaintyProgress& progress = {});

}  // namespace ddpm_eval::metrics
