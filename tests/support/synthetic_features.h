#pragma once

#include "tests/support/hashes.h"

#include <cstdint>

#include <torch/types.h>

namespace ddpm_eval::testing {

/// Output `index` of SplitMix64, on [0, 1) with 53 bits.
inline double synthetic_uniform(uint64_t seed, uint64_t index) {
  return static_cast<double>(splitmix64(seed, index) >> 11U) * 0x1p-53;
}

/// Sum of three uniforms, centred: variance 1/4.
inline double synthetic_bell(uint64_t seed, uint64_t index) {
  const uint64_t first = index * 3;
  return synthetic_uniform(seed, first) + synthetic_uniform(seed, first + 1) +
         synthetic_uniform(seed, first + 2) - 1.5;
}

struct SyntheticSpec {
  uint64_t seed = 0;
  int64_t count = 0;
  double offset = 0.0;
  double scale = 1.0;
};

/// float32 [count, dim]: column j has its own spread and shares one of eight factors with every eighth
/// column. The same bits as tools/golden/synthetic_features.py.
inline at::Tensor synthetic_features(const SyntheticSpec& spec, int64_t dim) {
  auto result = torch::empty({spec.count, dim}, at::kFloat);
  auto* out = result.data_ptr<float>();
  for (int64_t row = 0; row < spec.count; ++row) {
    for (int64_t col = 0; col < dim; ++col) {
      const double spread = 1.0 / (1.0 + static_cast<double>(col) / (static_cast<double>(dim) / 4.0));
      const double own = spread * synthetic_bell(spec.seed, row * dim + col);
      const double shared = 0.5 * synthetic_bell(spec.seed + 1, row * 8 + col % 8);
      *out++ = static_cast<float>(spec.offset + spec.scale * (own + shared));
    }
  }
  return result;
}

}  // namespace ddpm_eval::testing
