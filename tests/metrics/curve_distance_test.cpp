#include "metrics/curve_distance.h"

#include "base/core/error.h"
#include "base/data/points.h"
#include "tests/support/errors.h"
#include "tests/support/kernels.h"
#include "tests/support/point_golden.h"

#include <cmath>
#include <limits>
#include <numbers>

#include <gmock/gmock.h>
#include <torch/types.h>

namespace ddpm_eval::metrics {
namespace {

using testing::golden_points;
using ::testing::HasSubstr;
using testing::message_of;
using testing::normal_features;

constexpr double kPi = std::numbers::pi;

std::array<double, 2> on_circle(double u) { return {std::cos(2 * kPi * u), std::sin(2 * kPi * u)}; }

/// From (0, 0) to (1, 0).
std::array<double, 2> on_segment(double u) { return {u, 0.0}; }

at::Tensor distances(const at::Tensor& points, const std::vector<PlaneCurve>& curves) {
  return distances_to_curves(points, curves);
}

double distance(float x, float y, const std::vector<PlaneCurve>& curves) {
  return distances(torch::tensor({x, y}).unsqueeze(0), curves).item<double>();
}

TEST(CurveDistance, OfACircleIsThatOfTheRadii) {
  const auto points = normal_features(1, 300, 2);
  const auto found = distances(points, {on_circle});
  const auto want = (points.to(at::kDouble).norm(2, 1) - 1).abs();
  EXPECT_LT((found - want).abs().max().item<double>(), 1e-12);
  EXPECT_NEAR(distance(0, 0, {on_circle}), 1.0, 1e-15);
}

TEST(CurveDistance, OfASegmentEndsAtItsEnds) {
  EXPECT_NEAR(distance(0.3F, -0.25F, {on_segment}), 0.25, 1e-15);
  EXPECT_NEAR(distance(4, 4, {on_segment}), 5.0, 1e-15);
  EXPECT_NEAR(distance(-3, 4, {on_segment}), 5.0, 1e-15);
  EXPECT_NEAR(distance(0.123456F, 0, {on_segment}), 0.0, 1e-15);
  EXPECT_NEAR(distance(3e38F, 0, {on_segment}), double{3e38F}, 1e25);
}

TEST(CurveDistance, TakesTheNearestOfSeveral) {
  EXPECT_NEAR(distance(0.1F, 0.01F, {on_circle, on_segment}), double{0.01F}, 1e-15);
  EXPECT_NEAR(distance(0, -1, {on_segment, on_circle}), 0.0, 1e-9);
}

// Turns of the roll are 0.63 apart, and it bends with a radius of 0.47 at least: so far along a normal the
// foot is the nearest point. Points are float32.
TEST(CurveDistance, OfTheSwissRollAtKnownOffsets) {
  const auto curves = data::noiseless_curves("swiss-roll");
  ASSERT_EQ(curves.size(), 1U);
  for (const double offset : {-0.3, -0.05, 0.0, 0.001, 0.25}) {
    for (double u = 0.013; u < 1.0; u += 0.07) {
      const double t = 1.5 * kPi * (1 + 2 * u);
      const double along_x = std::cos(t) - t * std::sin(t), along_y = std::sin(t) + t * std::cos(t);
      const double length = std::hypot(along_x, along_y);
      const auto x = static_cast<float>(t * std::cos(t) / 10 - offset * along_y / length);
      const auto y = static_cast<float>(t * std::sin(t) / 10 + offset * along_x / length);
      EXPECT_NEAR(distance(x, y, curves), std::abs(offset), 2e-7) << offset << " at " << u;
    }
  }
}

// Against the nearest of half a million places, which lie 2e-5 apart.
TEST(CurveDistance, IsTheSmallestOfAll) {
  const auto curves = data::noiseless_curves("swiss-roll");
  const auto points = normal_features(2, 20, 2);
  const auto found = distances(points, curves);
  constexpr int kPlaces = 1 << 19;
  std::vector<double> best(20, std::numeric_limits<double>::infinity());
  for (int place = 0; place <= kPlaces; ++place) {
    const auto on_curve = curves[0](static_cast<double>(place) / kPlaces);
    for (int64_t i = 0; i < 20; ++i) {
      const auto* point = points.data_ptr<float>() + 2 * i;
      best[i] = std::min(best[i], std::hypot(point[0] - on_curve[0], point[1] - on_curve[1]));
    }
  }
  for (int64_t i = 0; i < 20; ++i) {
    const double one = found[i].item<double>();
    EXPECT_LE(one, best[i] + 1e-12);
    EXPECT_NEAR(one, best[i], 1e-5);
  }
}

TEST(OffManifold, AgreesWithScipy) {
  for (const auto& entry : testing::golden_point_cases()) {
    const auto found = off_manifold(golden_points(entry, "fake"), data::noiseless_curves("swiss-roll"));
    const double mean = entry["off_roll"]["mean"], q95 = entry["off_roll"]["q95"];
    EXPECT_NEAR(found.mean, mean, 1e-9) << entry["name"];
    EXPECT_NEAR(found.q95, q95, 1e-9) << entry["name"];
  }
}

TEST(OffManifold, MeanAndQuantileByHand) {
  const auto heights = torch::arange(11).to(at::kFloat);
  const auto points = at::stack({torch::zeros({11}), heights}, 1).flip(0);
  const auto found = off_manifold(points, std::vector<PlaneCurve>{on_segment});
  EXPECT_NEAR(found.mean, 5.0, 1e-12);
  EXPECT_NEAR(found.q95, 9.5, 1e-12) << "between 9 and 10";
}

// Noise of deviation 0.05 in both directions, of which the part across the curve counts.
TEST(OffManifold, OfRealPointsIsTheirNoise) {
  for (const auto& [kind, noise] : {std::pair{"swiss-roll", 0.05}, {"moons", 0.1}}) {
    const auto found = off_manifold(data::make_points(kind, 0, 4000, 1), data::noiseless_curves(kind));
    EXPECT_NEAR(found.mean / (noise * std::sqrt(2 / kPi)), 1.0, 0.06) << kind;
    EXPECT_NEAR(found.q95 / (noise * 1.96), 1.0, 0.06) << kind;
  }
}

TEST(CurveDistance, RefusesBadInput) {
  const std::vector<PlaneCurve> circle{on_circle};
  EXPECT_THAT(message_of<core::DataError>([&] {
                distances(torch::zeros({4, 3}), circle);
              }),
              HasSubstr("points of 2 coordinates, not 3"));
  const auto nan = torch::full({3, 2}, std::numeric_limits<float>::quiet_NaN());
  EXPECT_THAT(message_of<core::DataError>([&] { distances(nan, circle); }),
              HasSubstr("fake points hold NaN"));
  EXPECT_THAT(message_of<core::DataError>([&] {
                off_manifold(torch::zeros({0, 2}), circle);
              }),
              HasSubstr("no points"));
}

}  // namespace
}  // namespace ddpm_eval::metrics
