#include "base/core/numpy_random.h"

#include "base/core/error.h"

#include <bit>
#include <limits>
#include <numeric>
#include <utility>

namespace ddpm_eval::core {

uint32_t NumpyRandom::bounded(uint32_t largest) {
  if (largest == 0) {
    return 0;
  }
  const uint32_t mask = std::numeric_limits<uint32_t>::max() >> std::countl_zero(largest);
  uint32_t value = 0;
  do {
    value = static_cast<uint32_t>(engine_()) & mask;
  } while (value > largest);
  return value;
}

std::vector<int64_t> NumpyRandom::permutation(int64_t count) {
  DDPM_CHECK(count >= 0 && count <= int64_t{std::numeric_limits<uint32_t>::max()}, "count is {}", count);
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), int64_t{0});
  for (int64_t i = count - 1; i > 0; --i) {
    std::swap(order[i], order[bounded(static_cast<uint32_t>(i))]);
  }
  return order;
}

std::vector<int64_t> NumpyRandom::choice(int64_t count, int64_t size) {
  DDPM_CHECK(size >= 0 && size <= count, "{} of {}", size, count);
  auto chosen = permutation(count);
  chosen.resize(static_cast<size_t>(size));
  return chosen;
}

}  // namespace ddpm_eval::core
