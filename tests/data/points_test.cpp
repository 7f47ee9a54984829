#include "base/data/points.h"

#include "base/core/error.h"
#include "tests/support/errors.h"
#include "tests/support/tensor_matchers.h"

#include <cmath>
#include <numbers>

namespace ddpm_eval::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::message_of;
using testing::TensorEq;
using testing::TensorNear;

constexpr int64_t kMany = 100'000;

struct Moments {
  at::Tensor mean, variance;
};

Moments moments(const std::string& kind) {
  const at::Tensor points = make_points(kind, 0, kMany, 1).to(torch::kFloat64);
  return {points.mean(0), points.var(0)};
}

at::Tensor pair(double x, double y) { return torch::tensor({x, y}, torch::kFloat64); }

TEST(Points, APointDependsOnSeedAndIndexAlone) {
  EXPECT_THAT(point_kinds(), ElementsAre("swiss-roll", "8-gaussians", "moons"));
  for (const auto& kind : point_kinds()) {
    const at::Tensor all = make_points(kind, 0, 50, 7);
    EXPECT_EQ(all.scalar_type(), at::kFloat);
    EXPECT_THAT(make_points(kind, 20, 10, 7), TensorEq(all.narrow(0, 20, 10)));
    EXPECT_FALSE(torch::equal(make_points(kind, 0, 50, 8), all));
    EXPECT_EQ(make_points(kind, 3, 0, 7).size(0), 0);
  }
}

TEST(Points, SwissRollHasItsClosedFormMoments) {
  // t uniform on [1.5 pi, 4.5 pi]: E[t cos t] = 2, E[t sin t] = 2 / (3 pi), E[t^2] = 9.75 pi^2, and
  // E[t^2 cos 2t] = -1/2; all divided by 10, and noise of variance 0.0025.
  constexpr double kPi = std::numbers::pi;
  const double mean_x = 0.2, mean_y = 0.2 / (3 * kPi), half = 9.75 * kPi * kPi / 200;
  const auto [mean, variance] = moments("swiss-roll");
  EXPECT_THAT(mean, TensorNear(pair(mean_x, mean_y), 0.01));
  EXPECT_THAT(variance, TensorNear(pair(half - 0.0025 - mean_x * mean_x + 0.0025,
                                        half + 0.0025 - mean_y * mean_y + 0.0025),
                                   0.01));
}

TEST(Points, EightGaussiansHaveTheirClosedFormMoments) {
  const auto [mean, variance] = moments("8-gaussians");
  EXPECT_THAT(mean, TensorNear(pair(0, 0), 0.015));
  EXPECT_THAT(variance, TensorNear(pair(1.01, 1.01), 0.015));
  const at::Tensor radius = make_points("8-gaussians", 0, kMany, 1).norm(2, {1});
  EXPECT_NEAR(radius.min().item<double>(), std::numbers::sqrt2 - 0.45, 0.15);
}

TEST(Points, MoonsHaveTheirClosedFormMoments) {
  // Outer: mean (0, 2/pi); inner: mean (1, 0.5 - 2/pi); each has second moments of a half circle.
  constexpr double kPi = std::numbers::pi;
  const double vary_y = 0.5 - 4 / (kPi * kPi), apart_y = 0.5 - 4 / kPi;
  const auto [mean, variance] = moments("moons");
  EXPECT_THAT(mean, TensorNear(pair(0.5, 0.25), 0.01));
  EXPECT_THAT(variance, TensorNear(pair(0.5 + 0.25 + 0.01, vary_y + apart_y * apart_y / 4 + 0.01), 0.01));
}

TEST(Points, NoiselessCurvesRunThroughThem) {
  const auto roll = noiseless_curves("swiss-roll");
  ASSERT_EQ(roll.size(), 1U);
  constexpr double kPi = std::numbers::pi;
  EXPECT_NEAR(roll[0](0)[0], 0.0, 1e-15);
  EXPECT_NEAR(roll[0](0)[1], -0.15 * kPi, 1e-15);
  EXPECT_NEAR(roll[0](0.5)[0], -0.3 * kPi, 1e-15);
  EXPECT_NEAR(roll[0](1)[1], 0.45 * kPi, 1e-15);
  const auto moons = noiseless_curves("moons");
  ASSERT_EQ(moons.size(), 2U);
  EXPECT_NEAR(moons[0](0.5)[1], 1.0, 1e-15);
  EXPECT_NEAR(moons[1](0.5)[1], -0.5, 1e-15);
  EXPECT_TRUE(noiseless_curves("8-gaussians").empty());
}

TEST(Points, AnUnknownKindIsAUsageError) {
  EXPECT_THAT(message_of<core::UsageError>([] { make_points("swissroll", 0, 1, 0); }),
              HasSubstr("unknown points 'swissroll'; did you mean 'swiss-roll'?; there are"));
}

}  // namespace
}  // namespace ddpm_eval::data
