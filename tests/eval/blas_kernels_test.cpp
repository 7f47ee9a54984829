#include "eval/blas_kernels.h"

#include <gtest/gtest.h>

namespace ddpm_eval::eval {
namespace {

TEST(BlasKernels, OfAnUnknownProcessorAreChosenByWhatItCanDo) {
  EXPECT_STREQ(better_blas_kernels("Prescott", {.avx2_and_fma = true, .avx512 = true}), "SkylakeX");
  EXPECT_STREQ(better_blas_kernels("Prescott", {.avx2_and_fma = true}), "Haswell");
  EXPECT_EQ(better_blas_kernels("Prescott", {}), nullptr);  // it may well be one
  EXPECT_EQ(better_blas_kernels("Zen", {.avx2_and_fma = true}), nullptr);
  EXPECT_EQ(better_blas_kernels("Cooperlake", {.avx2_and_fma = true, .avx512 = true}), nullptr);
}

}  // namespace
}  // namespace ddpm_eval::eval
