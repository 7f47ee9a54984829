#pragma once

#include <cstdint>
#include <random>
#include <vector>

namespace ddpm_eval::core {

/// The part of numpy.random.RandomState that scoring tools draw their subsets with: MT19937 and masked
/// rejection. Only for what has to repeat another tool's draw; everything else draws from
/// base/tensor/noise.h.
class NumpyRandom {
 public:
  /// RandomState(seed).
  explicit NumpyRandom(uint32_t seed) : engine_(seed) {}

  /// RandomState.permutation(count): 0..count-1 shuffled. `count` in [0, 2^32).
  std::vector<int64_t> permutation(int64_t count);

  /// RandomState.choice(count, size, replace=False): the first `size` of a whole permutation. 0 <= size <=
  /// count.
  std::vector<int64_t> choice(int64_t count, int64_t size);

 private:
  /// Uniform on [0, largest]: 32-bit draws under the smallest all-ones mask, repeated until one fits.
  uint32_t bounded(uint32_t largest);

  std::mt19937 engine_;
};

}  // namespace ddpm_eval::core
