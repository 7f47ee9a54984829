#pragma once

#include "base/tensor/noise.h"
#include "metrics/kernel_distance.h"

#include <optional>

#include <torch/types.h>

// What the tests of kernel distances share.
namespace ddpm_eval::testing {

inline metrics::Kernel rbf(double sigma) {
  metrics::Kernel kernel;
  kernel.kind = metrics::Kernel::Kind::kRbf;
  kernel.sigma = sigma;
  return kernel;
}

inline metrics::Kernel polynomial(int64_t degree, std::optional<double> gamma, double coef) {
  metrics::Kernel kernel;
  kernel.degree = degree;
  kernel.gamma = gamma;
  kernel.coef = coef;
  return kernel;
}

/// Standard normal, float32 [count, dim].
inline at::Tensor normal_features(uint64_t seed, int64_t count, int64_t dim) {
  return tensor::normal_rows({seed, "kernel-test"}, tensor::index_range(0, count), 0, {dim});
}

}  // namespace ddpm_eval::testing
