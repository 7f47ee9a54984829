#pragma once

#include "base/tensor/noise.h"
#include "metrics/moments.h"

#include <cstdint>
#include <vector>

#include <torch/types.h>

namespace ddpm_eval::testing {

/// A normal distribution of d independent features.
struct NormalSet {
  at::Tensor mean;    ///< float64 [d]
  at::Tensor spread;  ///< standard deviations, float64 [d]

  int64_t dim() const { return mean.size(0); }

  /// `count` draws, float32 [count, d], a function of (seed, replicate).
  at::Tensor draw(uint64_t seed, int64_t replicate, int64_t count) const {
    const auto standard =
        tensor::normal_rows({seed, "test.normal"}, tensor::index_range(0, count), replicate, {dim()});
    return (standard.to(at::kDouble) * spread + mean).to(at::kFloat);
  }
};

/// Standard normal in d dimensions.
inline NormalSet standard_normal(int64_t dim) {
  return {torch::zeros({dim}, at::kDouble), torch::ones({dim}, at::kDouble)};
}

/// Means of 0 but the first, spreads from 1 to `last`.
inline NormalSet shifted_normal(int64_t dim, double shift, double last) {
  NormalSet result{torch::zeros({dim}, at::kDouble), torch::linspace(1.0, last, dim, at::kDouble)};
  result.mean[0] = shift;
  return result;
}

/// Its mean and covariance, of no images.
inline metrics::Moments exact_moments(const NormalSet& set) {
  return {set.mean, torch::diag(set.spread.square()), 0, {}};
}

/// The Frechet distance of two such distributions.
inline double true_distance(const NormalSet& real, const NormalSet& fake) {
  return ((real.mean - fake.mean).square() + (real.spread - fake.spread).square()).sum().item<double>();
}

}  // namespace ddpm_eval::testing
