#include "ddpm/t_sampling.h"

#include "tests/ddpm/golden_inputs.h"
#include "tests/support/tensor_matchers.h"

#include <gmock/gmock.h>

namespace ddpm_eval::ddpm {
namespace {

using testing::TensorEq;
using testing::TensorNear;

/// The golden script's history, in its order.
TSampler with_history() {
  TSampler sampler(TSampling::kImportance, 50, 3);
  for (int64_t t = 0; t < 50; ++t) {
    for (int64_t j = 0; j < 10; ++j) {
      const double uniform =
          testing::synthetic_uniform(testing::fnv1a("ddpm/history"), static_cast<uint64_t>(10 * t + j));
      sampler.record(torch::tensor({t}, torch::kInt64),
                     torch::tensor({(1 + static_cast<double>(t) / 10) * uniform}, torch::kFloat64));
    }
  }
  return sampler;
}

TEST(TSampling, ProbabilitiesAreTheGoldenOnes) {
  const auto p = with_history().probabilities();
  ASSERT_EQ(p.size(), golden::kResamplingP.size());
  for (size_t t = 0; t < p.size(); ++t) {
    EXPECT_NEAR(p[t], golden::kResamplingP[t], 1e-15);
  }
}

TEST(TSampling, WeightsUndoTheProbabilities) {
  const auto sampler = with_history();
  const auto [t, weight] = sampler.draw(5, 200'000);
  const auto p = sampler.probabilities();
  std::vector<double> share(50, 0.0);
  for (int64_t i = 0; i < t.numel(); ++i) {
    const auto at = static_cast<size_t>(t[i].item<int64_t>());
    share[at] += 1.0 / 200'000;
    if (i < 1000) {
      EXPECT_NEAR(weight[i].item<double>(), 1 / (50 * p[at]), 1e-12);
    }
  }
  for (size_t at = 0; at < 50; ++at) {
    EXPECT_NEAR(share[at], p[at], 5 * std::sqrt(p[at] / 200'000));
  }
  EXPECT_NEAR(weight.mean().item<double>(), 1, 0.01);
  EXPECT_NEAR(1 / (50 * p[25]), golden::kResamplingWeight[3], 1e-12);
}

TEST(TSampling, TheOldestLossGoes) {
  auto sampler = with_history();
  sampler.record(torch::tensor({int64_t{7}}), torch::tensor({100.0}, torch::kFloat64));
  const auto losses = sampler.buffers()[0].tensor;
  EXPECT_EQ(losses[7][9].item<double>(), 100);
  EXPECT_NEAR(losses[7][0].item<double>(),
              1.7 * testing::synthetic_uniform(testing::fnv1a("ddpm/history"), 71), 1e-15);
}

TEST(TSampling, UniformUntilEveryTHasTenLosses) {
  TSampler sampler(TSampling::kImportance, 4, 0);
  for (int64_t j = 0; j < 10; ++j) {
    sampler.record(torch::tensor({0, 1, 2}, torch::kInt64), torch::tensor({1.0, 2.0, 3.0}, torch::kFloat64));
  }
  EXPECT_EQ(sampler.probabilities(), std::vector<double>(4, 0.25));
  EXPECT_THAT(sampler.draw(0, 8).weight, TensorEq(torch::ones({8}, torch::kFloat64)));
}

TEST(TSampling, AntitheticPairsMirrorTheChain) {
  const TSampler sampler(TSampling::kAntithetic, 100, 1);
  const auto t = sampler.draw(3, 9).t;
  EXPECT_THAT(t.narrow(0, 0, 4) + t.narrow(0, 5, 4), TensorEq(torch::full({4}, 99, torch::kInt64)));
  EXPECT_THAT(sampler.draw(3, 9).t, TensorEq(t));
  EXPECT_FALSE(torch::equal(sampler.draw(4, 9).t, t));
  EXPECT_TRUE(sampler.buffers().empty());
}

}  // namespace
}  // namespace ddpm_eval::ddpm
