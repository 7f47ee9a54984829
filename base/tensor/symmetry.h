#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::tensor {

/// A matrix counts as symmetric if no element differs from its mirror image by more than this part of the
/// largest element. Covariances that tools computed in float32 differ by some 1e-6, in float64 by 1e-15.
constexpr double kSymmetryTolerance = 1e-5;

/// The pair of mirrored elements that differ most; below the diagonal.
struct Asymmetry {
  double difference = 0.0;
  int64_t row = 0;
  int64_t column = 0;
  double largest = 0.0;  ///< of all elements, by magnitude

  bool acceptable() const { return difference <= kSymmetryTolerance * largest; }
};

/// Of a float64 matrix [d, d] whose elements are finite.
Asymmetry measure_asymmetry(const at::Tensor& matrix);

}  // namespace ddpm_eval::tensor
