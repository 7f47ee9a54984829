#include "base/tensor/noise.h"

#include "base/core/seeds.h"
#include "base/tensor/runtime.h"
#include "tests/support/tensor_matchers.h"

#include <ATen/core/PhiloxRNGEngine.h>
#include <gmock/gmock.h>

namespace ddpm_eval::tensor {
namespace {

using testing::TensorEq;

const NoiseKey kKey{1, "test"};

TEST(Noise, LibTorchsPhiloxGivesTheKnownAnswers) {
  // Random123's known-answer test for philox4x32-10: key 0, counter 0.
  at::philox_engine engine(0, 0, 0);
  EXPECT_EQ(engine(), 0x6627e8d5U);
  EXPECT_EQ(engine(), 0xe169c58dU);
  EXPECT_EQ(engine(), 0xbc57ac4cU);
  EXPECT_EQ(engine(), 0x9b00dbd8U);
}

TEST(Noise, ARowDependsOnItsIndexAndStepAlone) {
  const auto all = normal_rows(kKey, index_range(0, 5), 3, {2, 7});
  const int64_t some[] = {4, 1};
  const auto picked = normal_rows(kKey, some, 3, {2, 7});
  EXPECT_THAT(picked[0], TensorEq(all[4]));
  EXPECT_THAT(picked[1], TensorEq(all[1]));
  EXPECT_FALSE(torch::equal(all, normal_rows(kKey, index_range(0, 5), 4, {2, 7})));
  EXPECT_FALSE(torch::equal(all, normal_rows({2, "test"}, index_range(0, 5), 3, {2, 7})));
  EXPECT_FALSE(torch::equal(all, normal_rows({1, "other"}, index_range(0, 5), 3, {2, 7})));
}

/// The kernel that makes many words at a time, against LibTorch's engine.
TEST(Noise, UniformRowsAreLibTorchsPhilox) {
  const int64_t step = (int64_t{1} << 31) - 3;
  const std::vector<int64_t> indices{0, 7, (int64_t{5} << 32) + 11};
  for (const int64_t length : {1, 3, 255, 256, 257, 1001}) {
    const auto rows = uniform_rows(kKey, indices, step, {length});
    const auto kept = keep_rows(kKey, indices, step, {length}, 0.1);
    EXPECT_THAT(kept, TensorEq(rows.ge(0.1)));
    for (size_t r = 0; r < indices.size(); ++r) {
      at::philox_engine engine(core::stream_key(kKey.seed, kKey.purpose), static_cast<uint64_t>(indices[r]),
                               0);
      engine.incr_n(static_cast<uint64_t>(step) << 32);
      const auto* row = rows.data_ptr<float>() + static_cast<int64_t>(r) * length;
      for (int64_t i = 0; i < length; ++i) {
        ASSERT_EQ(row[i], static_cast<float>(engine() >> 8) * 0x1p-24F) << length << " " << i;
      }
    }
  }
}

TEST(Noise, ThreadsDoNotChangeTheNumbers) {
  const auto one = normal_rows(kKey, index_range(0, 64), 0, {3, 32, 32});
  configure_runtime(2);
  const auto two = normal_rows(kKey, index_range(0, 64), 0, {3, 32, 32});
  configure_runtime(1);
  EXPECT_THAT(two, TensorEq(one));
}

TEST(Noise, NormalHasTheMomentsOfANormal) {
  const int64_t n = 1 << 20;
  const auto x = normal_rows(kKey, index_range(0, 1024), 0, {n / 1024}).to(torch::kFloat64).flatten();
  // Tolerances are five standard errors of each moment at n = 2^20.
  EXPECT_NEAR(x.mean().item<double>(), 0.0, 5 * 1.0 / 1024);
  EXPECT_NEAR(x.pow(2).mean().item<double>(), 1.0, 5 * std::sqrt(2.0) / 1024);
  EXPECT_NEAR(x.pow(3).mean().item<double>(), 0.0, 5 * std::sqrt(15.0) / 1024);
  EXPECT_NEAR(x.pow(4).mean().item<double>(), 3.0, 5 * std::sqrt(96.0) / 1024);
  EXPECT_LE(x.abs().max().item<double>(), 6.67);
}

TEST(Noise, NeighbouringIndicesAndStepsAreUncorrelated) {
  const auto a = normal_rows(kKey, index_range(0, 1), 0, {1 << 16}).to(torch::kFloat64);
  const auto b = normal_rows(kKey, index_range(1, 2), 0, {1 << 16}).to(torch::kFloat64);
  const auto c = normal_rows(kKey, index_range(0, 1), 1, {1 << 16}).to(torch::kFloat64);
  EXPECT_NEAR((a * b).mean().item<double>(), 0.0, 5.0 / 256);
  EXPECT_NEAR((a * c).mean().item<double>(), 0.0, 5.0 / 256);
}

TEST(Noise, UniformAndIntegersCoverTheirRange) {
  const auto u = uniform_rows(kKey, index_range(0, 4), 0, {10000});
  EXPECT_GE(u.min().item<float>(), 0.0F);
  EXPECT_LT(u.max().item<float>(), 1.0F);
  EXPECT_NEAR(u.mean().item<double>(), 0.5, 5 * 0.29 / 200);
  const auto k = integers(kKey, index_range(0, 10000), 0, 10);
  const auto counts = torch::bincount(k, {}, 10);
  EXPECT_EQ(counts.size(0), 10);
  EXPECT_LT((counts - 1000).abs().max().item<int64_t>(), 5 * 30);
}

TEST(Noise, PermutationHoldsEveryIndexOnce) {
  const auto order = permutation(kKey, 0, 1000);
  EXPECT_THAT(std::get<0>(order.sort()), TensorEq(torch::arange(1000)));
  EXPECT_FALSE(torch::equal(order, permutation(kKey, 1, 1000)));
}

}  // namespace
}  // namespace ddpm_eval::tensor
