#include "eval/side_cache.h"

#include "base/tensor/gpu_memory.h"
#include "tests/support/environment.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tensor_matchers.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ddpm_eval::eval {
namespace {

using testing::TensorEq;

metrics::FeatureNetInfo some_net() {
  metrics::FeatureNetInfo net;
  net.name = "a-network";
  net.weights_sha256 = std::string(64, '1');
  net.preset = "torch-fidelity";
  net.dim = 3;
  return net;
}

metrics::Moments some_moments(double mean) {
  return {torch::full({3}, mean, torch::kFloat64), torch::eye(3, torch::kFloat64), 7, {}};
}

const ImagesKey kImages{std::string(64, 'a'), std::string(64, 'b')};

class SideCaches : public ::testing::Test {
 protected:
  testing::TempDir home_;
  testing::Environment variable_{"DDPM_EVAL_HOME", home_.path().string()};
};

TEST_F(SideCaches, OtherWeightsPresetsLayersAndPrecisionsAreNotFound) {
  const auto net = some_net();
  SideCache(net).keep(kImages, some_moments(1), {});
  ASSERT_TRUE(SideCache(net).find(kImages));
  auto weights = net, preset = net, layer = net, precision = net, convention = net;
  weights.weights_sha256.back() = '2';
  preset.preset = "clean-fid";
  layer.name = "a-network/768";
  precision.precision = tensor::Precision::kBFloat16;
  convention.convention = "{}";
  for (const auto& other : {weights, preset, layer, precision, convention}) {
    EXPECT_FALSE(SideCache(other).has_any()) << other.name;
    EXPECT_FALSE(SideCache(other).find(kImages)) << other.name;
  }
  auto images = kImages;
  images.all.back() = 'c';
  EXPECT_FALSE(SideCache(net).find(images));
}

/// Entries appear whole: whoever looks finds one of those that were kept, or none.
TEST_F(SideCaches, ProcessesMayKeepAndLookAtOnce) {
  constexpr int kWriters = 3, kRounds = 40;
  std::vector<pid_t> children;
  for (int writer = 0; writer < kWriters; ++writer) {
    children.push_back(::fork());
    if (children.back() == 0) {
      const SideCache cache(some_net());
      for (int round = 0; round < kRounds; ++round) {
        cache.keep(kImages, some_moments(writer), {});
        const auto found = cache.find(kImages);
        if (!found || found->count != 7) {
          ::_exit(1);
        }
      }
      ::_exit(0);
    }
  }
  const SideCache cache(some_net());
  int64_t seen = 0;
  for (const pid_t child : children) {
    int status = -1;
    while (::waitpid(child, &status, WNOHANG) == 0) {
      if (const auto found = cache.find(kImages)) {
        const double mean = found->mean[0].item<double>();
        EXPECT_TRUE(mean == 0 || mean == 1 || mean == 2) << mean;
        EXPECT_THAT(found->mean, TensorEq(torch::full({3}, mean, torch::kFloat64)));
        ++seen;
      }
    }
    EXPECT_EQ(status, 0);
  }
  EXPECT_GT(seen, 0);
  EXPECT_EQ(cache_entries().size(), 1U);
}

/// Their last bits may differ from those of whole ones, which the entry's name promises.
TEST_F(SideCaches, MomentsOfHalvedBatchesAreNotKept) {
  const SideCache cache(some_net());
  const auto moments = some_moments(1);
  tensor::process_halving() = true;
  cache.keep(kImages, moments, {});
  tensor::process_halving() = false;
  EXPECT_FALSE(cache.has_any());
  cache.keep(kImages, moments, {});
  const auto found = cache.find(kImages);
  ASSERT_TRUE(found.has_value());
  EXPECT_THAT(found->covariance, TensorEq(moments.covariance));
  EXPECT_EQ(found->count, 7);
}

}  // namespace
}  // namespace ddpm_eval::eval
