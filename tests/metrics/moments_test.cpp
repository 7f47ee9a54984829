#include "metrics/moments.h"

#include "base/core/error.h"
#include "tests/support/errors.h"
#include "tests/support/synthetic_features.h"
#include "tests/support/tensor_matchers.h"

#include <limits>

#include <gmock/gmock.h>

namespace ddpm_eval::metrics {
namespace {

using ::testing::HasSubstr;
using testing::message_of;
using testing::synthetic_features;
using testing::TensorEq;
using testing::TensorNear;

Moments moments_of(const at::Tensor& features, int64_t chunk) {
  MomentsAccumulator accumulator(features.size(1));
  for (int64_t begin = 0; begin < features.size(0); begin += chunk) {
    accumulator.add(features.narrow(0, begin, std::min(chunk, features.size(0) - begin)));
  }
  return accumulator.finish();
}

/// The definition, two passes in float64.
at::Tensor covariance_of(const at::Tensor& features) {
  const auto rows = features.to(at::kDouble);
  const auto centred = rows - rows.mean(0);
  return at::mm(centred.t(), centred) / (rows.size(0) - 1);
}

// pytorch-fid's test: three flat images of value 0, 0.5 and 1.
TEST(Moments, ThreeValuesByHand) {
  const auto features = torch::tensor({0.0F, 0.5F, 1.0F}).unsqueeze(1).repeat({1, 2});
  const auto moments = moments_of(features, 1);
  EXPECT_THAT(moments.mean, TensorEq(torch::full({2}, 0.5, at::kDouble)));
  EXPECT_THAT(moments.covariance, TensorNear(torch::full({2, 2}, 0.25, at::kDouble), 1e-16));
  EXPECT_EQ(moments.count, 3);
}

TEST(Moments, AgreesWithTheDefinition) {
  for (const int64_t count : {2, 20, 31, 32, 33, 600, 1600}) {
    const auto features = synthetic_features({1, count, 0.5, 1.0}, 32);
    const auto moments = moments_of(features, 100);
    EXPECT_THAT(moments.mean, TensorNear(features.to(at::kDouble).mean(0), 1e-14)) << count;
    EXPECT_THAT(moments.covariance, TensorNear(covariance_of(features), 1e-14)) << count;
    EXPECT_THAT(moments.covariance, TensorEq(moments.covariance.t())) << count;
  }
}

TEST(Moments, PartsMergedAreThoseOfAllRows) {
  // Far from the origin, as sums of squares would not survive.
  const auto features = synthetic_features({5, 900, 0.5, 1.0}, 32) + 1000;
  const auto whole = moments_of(features, 100);
  auto merged = moments_of(features.narrow(0, 0, 2), 100);
  merge(merged, moments_of(features.narrow(0, 2, 20), 100));
  merge(merged, moments_of(features.narrow(0, 22, 878), 100));
  EXPECT_EQ(merged.count, 900);
  EXPECT_FALSE(merged.centred.defined());
  EXPECT_THAT(merged.mean, TensorNear(whole.mean, 1e-12));
  EXPECT_THAT(merged.covariance, TensorNear(whole.covariance, 1e-14));
  EXPECT_THAT(merged.covariance, TensorEq(merged.covariance.t()));
  auto one = whole;
  one.count = 1;
  EXPECT_THAT(message_of<core::LogicError>([&] { merge(one, whole); }), HasSubstr("moments of 1 and of 900"));
}

TEST(Moments, ChunksDoNotChangeABit) {
  const auto features = synthetic_features({2, 1700, 0.5, 1.0}, 24);
  const auto whole = moments_of(features, 1700);
  for (const int64_t chunk : {1, 7, 511, 512, 513}) {
    const auto cut = moments_of(features, chunk);
    EXPECT_THAT(cut.mean, TensorEq(whole.mean));
    EXPECT_THAT(cut.covariance, TensorEq(whole.covariance));
  }
}

// In float32 sums, or in E[x^2] - E[x]^2, nothing would be left of this covariance.
TEST(Moments, AnOffsetCostsNoPrecision) {
  const auto small = (synthetic_features({3, 1500}, 8) * 64).round() / 64;
  const auto moments = moments_of(small + 65536.0F, 200);
  EXPECT_THAT(moments.covariance, TensorNear(covariance_of(small), 1e-11));
}

TEST(Moments, MergeEqualsOnePass) {
  const auto features = synthetic_features({4, 2000, 0.5, 1.0}, 16);
  const auto whole = moments_of(features, 2000);
  for (const int64_t cut : {0, 10, 500, 700, 1300, 1999}) {
    MomentsAccumulator left(16);
    MomentsAccumulator right(16);
    left.add(features.narrow(0, 0, cut));
    right.add(features.narrow(0, cut, 2000 - cut));
    left.merge(right);
    const auto merged = left.finish();
    EXPECT_EQ(merged.count, 2000);
    EXPECT_THAT(merged.mean, TensorNear(whole.mean, 1e-14)) << cut;
    EXPECT_THAT(merged.covariance, TensorNear(whole.covariance, 1e-14)) << cut;
  }
}

TEST(Moments, KeepsCentredRowsBelowTheDimension) {
  const auto features = synthetic_features({5, 20, 0.5, 1.0}, 64);
  const auto moments = moments_of(features, 6);
  ASSERT_TRUE(moments.centred.defined());
  EXPECT_THAT(at::mm(moments.centred.t(), moments.centred), TensorNear(moments.covariance, 1e-15));
  EXPECT_FALSE(moments_of(synthetic_features({5, 64}, 64), 64).centred.defined());
}

TEST(Moments, FinishCanBeFollowedByMore) {
  const auto features = synthetic_features({6, 1200}, 8);
  MomentsAccumulator accumulator(8);
  accumulator.add(features.narrow(0, 0, 700));
  accumulator.finish();
  accumulator.add(features.narrow(0, 700, 500));
  EXPECT_THAT(accumulator.finish().covariance, TensorEq(moments_of(features, 1200).covariance));
}

TEST(Moments, RefusesTooFewAndNan) {
  MomentsAccumulator accumulator(4);
  EXPECT_THAT(message_of<core::DataError>([&] { accumulator.finish(); }),
              HasSubstr("at least 2 images, and there are 0"));
  accumulator.add(torch::zeros({1, 4}));
  EXPECT_THAT(message_of<core::DataError>([&] { accumulator.finish(); }), HasSubstr("there is 1"));
  accumulator.add(torch::full({1, 4}, std::numeric_limits<float>::quiet_NaN()));
  EXPECT_THAT(message_of<core::DataError>([&] { accumulator.finish(); }), HasSubstr("NaN"));
}

}  // namespace
}  // namespace ddpm_eval::metrics
