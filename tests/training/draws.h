#pragma once

#include "base/tensor/noise.h"

namespace ddpm_eval::testing {

/// Normal numbers [shape...], a function of index and step.
inline at::Tensor normal(at::IntArrayRef shape, int64_t index, int64_t step = 0) {
  return tensor::normal_rows({1, "test"}, std::vector<int64_t>{index}, step, shape).squeeze(0);
}

}  // namespace ddpm_eval::testing
