#include "metrics/point_kernel.h"

#include "base/core/error.h"
#include "tests/support/errors.h"
#include "tests/support/kernels.h"
#include "tests/support/point_golden.h"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <torch/types.h>

namespace ddpm_eval::metrics {
namespace {

using testing::golden_points;
using ::testing::HasSubstr;
using testing::message_of;
using testing::normal_features;

at::Tensor points(std::initializer_list<float> coordinates) {
  return torch::tensor(std::vector<float>(coordinates)).view({-1, 2});
}

TEST(SquaredMmd, AgreesWithNumpy) {
  for (const auto& entry : testing::golden_point_cases()) {
    const auto found = squared_mmd(golden_points(entry, "real"), golden_points(entry, "fake"));
    const double bandwidth = entry["bandwidth"], value = entry["squared_mmd"];
    EXPECT_NEAR(found.bandwidth, bandwidth, 1e-12) << entry["name"];
    EXPECT_NEAR(found.estimate.value, value, 1e-12) << entry["name"];
  }
}

// The real points are 2 apart: sigma is 2. Fake ones lie between them, 1 from each.
TEST(SquaredMmd, TwoAgainstTwoByHand) {
  const auto found = squared_mmd(points({0, 0, 2, 0}), points({1, 0, 1, 0}));
  EXPECT_EQ(found.bandwidth, 2.0);
  EXPECT_EQ(found.bandwidth_points, 2);
  EXPECT_NEAR(found.estimate.value, std::exp(-0.5) + 1 - 2 * std::exp(-0.125), 1e-15);
  EXPECT_EQ(found.estimate.standard_error, std::nullopt);
}

// Distances of standard normal points in the plane have a median of sqrt(2) sqrt(2 ln 2).
TEST(SquaredMmd, BandwidthIsTheMedianDistance) {
  EXPECT_NEAR(median_distance(normal_features(1, 1500, 2)), 2 * std::sqrt(std::log(2.0)), 0.03);
  EXPECT_EQ(median_distance(points({0, 0, 1, 0, 3, 0})), 2.0) << "of 1, 2 and 3";
  EXPECT_EQ(median_distance(points({0, 0, 1, 0, 3, 0, 7, 0})), 3.5) << "of 1, 2, 3, 4, 6 and 7";
  // A sorted file: the first points alone would be a part of it.
  const auto line = torch::arange(6000).to(at::kFloat).unsqueeze(1) * torch::tensor({1.0F, 0.0F});
  EXPECT_NEAR(median_distance(line), 6000 * (1 - std::sqrt(0.5)), 10.0);
}

// For normal distributions of unit spread whose means are |d| apart the squared MMD is
// 2 s (1 - exp(-d^2 / (2 (sigma^2 + 2)))) with s = sigma^2 / (sigma^2 + 2).
TEST(SquaredMmd, ShiftedNormalsReadTheClosedFormWithinTheStandardError) {
  constexpr int kDraws = 40;
  for (const double shift : {0.0, 0.5}) {
    double sum = 0.0, squares = 0.0;
    for (int draw = 0; draw < kDraws; ++draw) {
      const auto real = normal_features(100 + draw, 300, 2);
      const auto fake =
          normal_features(200 + draw, 250, 2) + torch::tensor({static_cast<float>(shift), 0.0F});
      const auto found = squared_mmd(real, fake);
      const double variance = found.bandwidth * found.bandwidth;
      const double want =
          2 * variance / (variance + 2) * (1 - std::exp(-shift * shift / (2 * (variance + 2))));
      const double score = (found.estimate.value - want) / found.estimate.standard_error.value();
      sum += score;
      squares += score * score;
    }
    EXPECT_LT(std::abs(sum / kDraws), 4 / std::sqrt(kDraws)) << shift;
    EXPECT_GT(std::sqrt(squares / kDraws), 0.6) << shift;
    EXPECT_LT(std::sqrt(squares / kDraws), 1.5) << shift;
  }
}

// Of a set against itself only the pairs of a point and itself are left: (2 / n) (mean kernel - 1).
TEST(SquaredMmd, ASetAgainstItself) {
  const auto set = normal_features(3, 60, 2);
  const double sigma = median_distance(set);
  double sum = 0.0;
  const auto x = set.accessor<float, 2>();
  for (int64_t i = 0; i < 60; ++i) {
    for (int64_t j = 0; j < 60; ++j) {
      const double dx = double{x[i][0]} - x[j][0], dy = double{x[i][1]} - x[j][1];
      sum += i == j ? 0.0 : std::exp(-(dx * dx + dy * dy) / (2 * sigma * sigma));
    }
  }
  EXPECT_NEAR(squared_mmd(set, set).estimate.value, 2.0 / 60 * (sum / (60 * 59) - 1), 1e-14);
}

// More pairs than a block holds, against the kernel distance of features.
TEST(SquaredMmd, BlocksCoverEveryPair) {
  const auto real = normal_features(6, 2500, 2);
  const auto fake = normal_features(7, 1900, 2) + 0.3F;
  const auto found = squared_mmd(real, fake);
  EXPECT_EQ(found.bandwidth_points, kBandwidthPoints);
  const auto other = kernel_estimate(real, fake, testing::rbf(found.bandwidth));
  EXPECT_NEAR(found.estimate.value, other.value, 1e-12);
  EXPECT_NEAR(*found.estimate.standard_error, *other.standard_error, 1e-10);
}

TEST(SquaredMmd, APointFarAwayTakesNoDigits) {
  const auto real = normal_features(8, 100, 2);
  auto fake = normal_features(9, 100, 2);
  fake[7].fill_(1e4F);
  const double far = squared_mmd(real, fake).estimate.value;
  fake[7].fill_(3e38F);
  EXPECT_EQ(squared_mmd(real, fake).estimate.value, far) << "its kernel is 0 in both cases";
}

TEST(SquaredMmd, RefusesBadInput) {
  const auto set = normal_features(5, 10, 2);
  EXPECT_THAT(message_of<core::DataError>([&] { squared_mmd(set.narrow(0, 0, 1), set); }),
              HasSubstr("at least 2 points on each side, and there are 1 real and 10 fake ones"));
  EXPECT_THAT(message_of<core::DataError>([&] {
                squared_mmd(torch::ones({10, 2}), set);
              }),
              HasSubstr("most real points are one and the same"));
  EXPECT_THAT(message_of<core::DataError>([&] {
                squared_mmd(set, torch::zeros({10, 3}));
              }),
              HasSubstr("2 coordinates and the fake ones 3"));
  const auto nan = torch::full({3, 2}, std::numeric_limits<float>::quiet_NaN());
  EXPECT_THAT(message_of<core::DataError>([&] { squared_mmd(set, nan); }), HasSubstr("fake points hold NaN"));
}

TEST(SquaredMmd, TellsItsProgressAndCanBeStopped) {
  struct Stop {};
  const auto set = normal_features(5, 10, 2);
  int64_t last = 0;
  squared_mmd(set, set, [&](int64_t done, int64_t total) {
    last = done;
    EXPECT_EQ(total, 300);
  });
  EXPECT_EQ(last, 300);
  EXPECT_THROW(squared_mmd(set, set, [](int64_t, int64_t) { throw Stop(); }), Stop);
}

}  // namespace
}  // namespace ddpm_eval::metrics
