#pragma once

#include <ATen/core/ScalarType.h>

namespace ddpm_eval::tensor {

/// What a network computes in. Weights, their gradients, Adam and averages are float32 in either case.
enum class Precision {
  kFloat32,
  kBFloat16,  ///< activations and the operands of convolutions and products; sums, statistics and softmax are
              ///< float32
};

inline at::ScalarType dtype_of(Precision precision) {
  return precision == Precision::kBFloat16 ? at::kBFloat16 : at::kFloat;
}

}  // namespace ddpm_eval::tensor
