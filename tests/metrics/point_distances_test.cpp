#include "metrics/point_distances.h"

#include "base/core/error.h"
#include "base/tensor/noise.h"
#include "tests/support/errors.h"
#include "tests/support/files.h"
#include "tests/support/synthetic_features.h"
#include "tests/support/temp_dir.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <torch/types.h>

namespace ddpm_eval::metrics {
namespace {

using ::testing::HasSubstr;
using testing::message_of;

at::Tensor normal_points(uint64_t seed, int64_t count, int64_t dim = 2) {
  return tensor::normal_rows({seed, "point-distances-test"}, tensor::index_range(0, count), 0, {dim});
}

at::Tensor point_mass(float x, float y, int64_t count) { return torch::tensor({x, y}).repeat({count, 1}); }

TEST(SlicedWasserstein, ASetAgainstItselfIsZero) {
  const auto points = normal_points(1, 500);
  EXPECT_EQ(sliced_wasserstein(points, points), 0.0);
  EXPECT_EQ(sliced_wasserstein(points, points.flip(0)), 0.0);
}

// The mean of cos^2 over equally spaced directions is exactly 1/2.
TEST(SlicedWasserstein, AShiftReadsItsLengthOverRootTwo) {
  const auto points = (normal_points(2, 300) * 256).round() / 256;
  const auto shifted = points + torch::tensor({3.0F, 4.0F});
  EXPECT_NEAR(sliced_wasserstein(points, shifted), 5.0 / std::sqrt(2.0), 1e-12);
  EXPECT_NEAR(sliced_wasserstein(points, shifted, {3, 2.0, 0}), 5.0 / std::sqrt(2.0), 1e-12);
}

// W_1 of a shift along a direction is |cos|, whose mean over angles is 2 / pi.
TEST(SlicedWasserstein, FirstOrder) {
  const double distance = sliced_wasserstein(point_mass(0, 0, 4), point_mass(2, 0, 4), {4096, 1.0, 0});
  EXPECT_NEAR(distance, 4.0 / M_PI, 1e-6);
}

// One dimension, by hand: {0, 1} against {0, 0, 3} has quantile gaps 0 on (0, 1/2), 1 on (1/2, 2/3), 2 on
// (2/3, 1).
TEST(SlicedWasserstein, UnequalCountsAreExact) {
  const auto real = torch::tensor({0.0F, 1.0F}).unsqueeze(1);
  const auto fake = torch::tensor({0.0F, 0.0F, 3.0F}).unsqueeze(1);
  EXPECT_NEAR(sliced_wasserstein(real, fake, {1, 1.0, 0}), 1.0 / 6 + 2.0 / 3, 1e-15);
  EXPECT_NEAR(sliced_wasserstein(real, fake), std::sqrt(1.0 / 6 + 4.0 / 3), 1e-15);
  const auto points = normal_points(3, 100);
  EXPECT_NEAR(sliced_wasserstein(points, points.repeat({3, 1})), 0.0, 1e-15);
}

TEST(SlicedWasserstein, RandomDirectionsAboveThePlane) {
  const auto points = normal_points(4, 50, 5);
  const auto shifted = points + torch::tensor({1.0F, 0.0F, 0.0F, 0.0F, 0.0F});
  const SlicedWassersteinOptions options{4096, 2.0, 7};
  const double distance = sliced_wasserstein(points, shifted, options);
  EXPECT_NEAR(distance, std::sqrt(1.0 / 5), 0.02);
  EXPECT_EQ(distance, sliced_wasserstein(points, shifted, options));
}

/// Unit vectors that NumPy can make, too.
at::Tensor golden_directions(const nlohmann::json& spec, int64_t dim) {
  const auto rows =
      testing::synthetic_features({.seed = spec["seed"], .count = spec["count"]}, dim).to(at::kDouble);
  return rows / rows.norm(2, {1}, /*keepdim=*/true);
}

TEST(SlicedWasserstein, OfFeaturesAgreesWithNumpy) {
  std::ifstream file(testing::source_dir() / "tests/golden/features.json");
  const auto golden = nlohmann::json::parse(file);
  ASSERT_EQ(golden["cases"].size(), 2u);
  for (const auto& entry : golden["cases"]) {
    const int64_t dim = entry["dim"];
    const auto side = [&](const nlohmann::json& spec) {
      return testing::synthetic_features(
          {spec["seed"], spec["count"], spec["offset"].get<double>(), spec["scale"].get<double>()}, dim);
    };
    const double wanted = entry["sliced_wasserstein"];
    EXPECT_NEAR(sliced_wasserstein_along(golden_directions(golden["directions"], dim), side(entry["real"]),
                                         side(entry["fake"])),
                wanted, 1e-12 * wanted)
        << entry["name"];
  }
}

// Two point masses: the mean square of their difference along the directions, whose expectation is |x|^2 / d.
TEST(SlicedWasserstein, OfPointMassesAmongFeatures) {
  const auto axes = golden_directions({{"seed", 7}, {"count", 200}}, 12);
  const auto point = torch::arange(12, at::kFloat) / 4;
  const double wanted = at::mv(axes, point.to(at::kDouble)).square().mean().sqrt().item<double>();
  EXPECT_NEAR(sliced_wasserstein_along(axes, torch::zeros({5, 12}), point.repeat({3, 1})), wanted, 1e-13);
  const double drawn = sliced_wasserstein(torch::zeros({5, 12}), point.repeat({3, 1}), kFeatureDirections);
  EXPECT_NEAR(drawn * drawn * 12, point.square().sum().item<double>(), 0.1 * drawn * drawn * 12);
}

TEST(SlicedWasserstein, RefusesBadInput) {
  const auto points = normal_points(5, 3);
  EXPECT_THAT(message_of<core::DataError>([&] {
                sliced_wasserstein(points, torch::zeros({0, 2}));
              }),
              HasSubstr("at least 1 points on each side"));
  EXPECT_THAT(message_of<core::DataError>([&] {
                sliced_wasserstein(points, torch::zeros({3, 3}));
              }),
              HasSubstr("2 coordinates and the fake ones 3"));
  const auto nan = torch::full({3, 2}, std::numeric_limits<float>::quiet_NaN());
  EXPECT_THAT(message_of<core::DataError>([&] { sliced_wasserstein(points, nan); }),
              HasSubstr("fake points hold NaN"));
  EXPECT_THAT(message_of<core::UsageError>([&] {
                sliced_wasserstein(points, points, {0, 2.0, 0});
              }),
              HasSubstr("at least 1 projection"));
}

TEST(EnergyDistance, TwoPointMassesReadTwiceTheirDistance) {
  EXPECT_NEAR(energy_distance(point_mass(0, 0, 5), point_mass(3, 4, 7)), 10.0, 1e-12);
}

// {0, 2} against {1, 1} on a line: 2 * 1 - 2 - 0 without the diagonal.
TEST(EnergyDistance, LeavesOutAPointAgainstItself) {
  const auto real = torch::tensor({0.0F, 2.0F}).unsqueeze(1);
  const auto fake = torch::tensor({1.0F, 1.0F}).unsqueeze(1);
  EXPECT_NEAR(energy_distance(real, fake), 0.0, 1e-15);
}

// Unbiased: over 20 pairs of draws of the same normal the mean is 0 within five standard errors.
TEST(EnergyDistance, EqualDistributionsAverageToZero) {
  constexpr int kDraws = 20;
  double sum = 0.0;
  double squares = 0.0;
  for (int draw = 0; draw < kDraws; ++draw) {
    const double value = energy_distance(normal_points(100 + draw, 300), normal_points(200 + draw, 200));
    sum += value;
    squares += value * value;
  }
  EXPECT_LT(std::abs(sum / kDraws), 5.0 * std::sqrt(squares) / kDraws);
}

// More pairs than one block holds, against the plain double loop.
TEST(EnergyDistance, BlocksCoverEveryPair) {
  const auto x = normal_points(6, 2500);
  const auto y = normal_points(7, 1900) + 1.0F;
  const auto all = [](const at::Tensor& a, const at::Tensor& b) {
    double sum = 0.0;
    const auto u = a.accessor<float, 2>();
    const auto v = b.accessor<float, 2>();
    for (int64_t i = 0; i < u.size(0); ++i) {
      for (int64_t j = 0; j < v.size(0); ++j) {
        sum += std::hypot(double{u[i][0]} - v[j][0], double{u[i][1]} - v[j][1]);
      }
    }
    return sum;
  };
  const double want =
      2 * all(x, y) / (2500.0 * 1900) - all(x, x) / (2500.0 * 2499) - all(y, y) / (1900.0 * 1899);
  EXPECT_NEAR(energy_distance(x, y), want, 1e-10);
}

// One outlier among n points adds M / n to each of the two terms that cancel.
TEST(EnergyDistance, IsRightOrAnErrorFarOut) {
  const auto points = normal_points(8, 100);
  for (const float far : {1e16F, 1e30F, 3e38F, -3e38F}) {
    auto outlier = normal_points(9, 100);
    outlier[7][0] = far;
    EXPECT_THAT(message_of<core::DataError>([&] { energy_distance(points, outlier); }),
                HasSubstr("the energy distance is lost in rounding"));
    EXPECT_THAT(message_of<core::DataError>([&] { energy_distance(outlier, points); }), HasSubstr("lost"));
  }
  auto outlier = normal_points(9, 100);
  outlier[7][0] = 1e6F;
  EXPECT_LT(std::abs(energy_distance(points, outlier)), 1.0);
  EXPECT_NEAR(energy_distance(point_mass(3e38F, 0, 3), point_mass(-3e38F, 0, 3)), 1.2e39, 1e32);
}

TEST(EnergyDistance, NothingIsAResultToo) {
  EXPECT_EQ(energy_distance(point_mass(1, 2, 3), point_mass(1, 2, 4)), 0.0);
  EXPECT_NEAR(energy_distance(point_mass(0, 0, 2), at::cat({point_mass(0, 0, 5), point_mass(1, 0, 1)})), 0.0,
              1e-15);
}

TEST(PointDistances, TellTheirProgressAndCanBeStopped) {
  struct Stop {};
  const auto x = normal_points(6, 2500);
  const auto y = normal_points(7, 1900);
  std::vector<int64_t> told;
  int64_t last_total = 0;
  const auto record = [&](int64_t done, int64_t total) {
    told.push_back(done);
    last_total = total;
  };
  EXPECT_EQ(energy_distance(x, y, record), energy_distance(x, y));
  EXPECT_EQ(last_total, 2500 * 1900 + 2500 * 2500 + 1900 * 1900);
  EXPECT_EQ(told.back(), last_total);
  EXPECT_GT(told.size(), 3U) << "within a term too";
  EXPECT_TRUE(std::is_sorted(told.begin(), told.end()));
  told.clear();
  sliced_wasserstein(x, y, {16, 2.0, 0}, record);
  EXPECT_EQ(told.size(), 16U);
  EXPECT_EQ(last_total, 16);
  const auto stop = [](int64_t, int64_t) { throw Stop(); };
  EXPECT_THROW(energy_distance(x, y, stop), Stop);
  EXPECT_THROW(sliced_wasserstein(x, y, {}, stop), Stop);
}

TEST(EnergyDistance, RefusesOnePoint) {
  EXPECT_THAT(message_of<core::DataError>([] {
                energy_distance(torch::zeros({1, 2}), torch::zeros({5, 2}));
              }),
              HasSubstr("at least 2 points on each side, and there are 1 real and 5 fake ones"));
}

}  // namespace
}  // namespace ddpm_eval::metrics
