#include "base/tensor/noise.h"
#include "tests/support/gpu.h"
#include "tests/support/tensor_matchers.h"

#include <gmock/gmock.h>

namespace ddpm_eval::tensor {
namespace {

using testing::TensorNear;

/// The same words, and so the same numbers but for the rounding of logarithm, sine and cosine.
TEST(GpuNoise, IsThatOfTheCpu) {
  SKIP_WITHOUT_GPU(gpu);
  const int64_t step = (int64_t{1} << 31) - 3;
  const std::vector<int64_t> indices{0, 7, (int64_t{5} << 32) + 11};
  for (const int64_t length : {1, 2, 3, 255, 1024, 3072, 100'003}) {
    const auto here = normal_rows({3, "test"}, indices, step, {length});
    const auto there = normal_rows({3, "test"}, indices, step, {length}, compute_device());
    EXPECT_TRUE(there.is_cuda());
    EXPECT_THAT(there.cpu(), TensorNear(here, 5e-6)) << length;
  }
}

}  // namespace
}  // namespace ddpm_eval::tensor
