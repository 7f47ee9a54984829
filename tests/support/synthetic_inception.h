#pragma once

#include "base/tensor/named_tensor.h"

#include <cstdint>
#include <string>

// Weights and images that C++ and Python (tools/golden/synthetic_inception.py) build alike, bit for bit, from
// names: the published files cannot be part of the repository. Element i of the stream called `name` is the
// i-th output of SplitMix64 (Steele et al. 2014) seeded with the FNV-1a hash of the name.
namespace ddpm_eval::testing {

/// A whole state dict of the FID Inception, counters included. Batch norm is far from the identity, so that
/// folding is tested.
tensor::NamedTensors synthetic_inception_weights();

/// uint8 RGB [1, 3, height, width]: a smooth random field plus noise of +-`noise` grey levels, a function of
/// (`set`, index).
at::Tensor synthetic_image(const std::string& set, int64_t index, int64_t height, int64_t width,
                           int64_t noise = 24);

/// Images 0..count-1 of one size, [count, 3, height, width].
at::Tensor synthetic_images(const std::string& set, int64_t count, int64_t height, int64_t width,
                            int64_t noise = 24);

}  // namespace ddpm_eval::testing
