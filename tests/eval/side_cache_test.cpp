#include "eval/side_cache.h"

#include "base/tensor/gpu_memory.h"
#include "tests/support/environment.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tensor_matchers.h"

#include <gmock/gmock.h>

namespace ddpm_eval::eval {
namespace {

using testing::TensorEq;

/// Their last bits may differ from those of whole ones, which the entry's name promises.
TEST(SideCache, MomentsOfHalvedBatchesAreNotKept) {
  const testing::TempDir home;
  const testing::Environment variable("DDPM_EVAL_HOME", home.path().string());
  metrics::FeatureNetInfo net;
  net.name = "a-network";
  net.dim = 3;
  const SideCache cache(net);
  const ImagesKey images{std::string(64, 'a'), std::string(64, 'b')};
  const metrics::Moments moments{torch::ones({3}, torch::kFloat64), torch::eye(3, torch::kFloat64), 7, {}};
  tensor::process_halving() = true;
  cache.keep(images, moments, {});
  tensor::process_halving() = false;
  EXPECT_FALSE(cache.has_any());
  cache.keep(images, moments, {});
  const auto found = cache.find(images);
  ASSERT_TRUE(found.has_value());
  EXPECT_THAT(found->covariance, TensorEq(moments.covariance));
  EXPECT_EQ(found->count, 7);
}

}  // namespace
}  // namespace ddpm_eval::eval
