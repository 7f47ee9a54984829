#pragma once

#include "base/tensor/precision.h"
#include "ddpm/choice.h"

namespace ddpm_eval::ddpm {

/// How configurations, flags and records call them.
inline Words<tensor::Precision> precision_words() {
  return {{"float32", tensor::Precision::kFloat32}, {"bf16", tensor::Precision::kBFloat16}};
}

}  // namespace ddpm_eval::ddpm
