#pragma once

#include <string>
#include <utility>
#include <vector>

#include <ATen/core/ScalarType.h>

namespace ddpm_eval::tensor {

/// What a network computes in. Weights, their gradients, Adam and averages are float32 in either case.
enum class Precision {
  kFloat32,
  kBFloat16,  ///< activations and the operands of convolutions and products; sums, statistics and softmax are
              ///< float32
};

/// How configurations, flags and records call them.
inline const std::vector<std::pair<std::string, Precision>>& precision_words() {
  static const std::vector<std::pair<std::string, Precision>> words = {{"float32", Precision::kFloat32},
                                                                       {"bf16", Precision::kBFloat16}};
  return words;
}

inline at::ScalarType dtype_of(Precision precision) {
  return precision == Precision::kBFloat16 ? at::kBFloat16 : at::kFloat;
}

}  // namespace ddpm_eval::tensor
