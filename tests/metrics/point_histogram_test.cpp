#include "metrics/point_histogram.h"

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

at::Tensor repeated(float x, float y, int64_t count) { return torch::tensor({x, y}).repeat({count, 1}); }

/// Ten points in each corner of the unit square.
at::Tensor corners() {
  return at::cat({repeated(0, 0, 10), repeated(0, 1, 10), repeated(1, 0, 10), repeated(1, 1, 10)});
}

TEST(HistogramDivergence, AgreesWithNumpy) {
  for (const auto& entry : testing::golden_point_cases()) {
    const auto real = golden_points(entry, "real");
    const auto grid = grid_of(real);
    const auto& want = entry["histogram"];
    EXPECT_EQ(grid.bins, want["bins"]);
    for (int axis = 0; axis < 2; ++axis) {
      EXPECT_EQ(grid.low[axis], want["range"][axis][0]);
      EXPECT_EQ(grid.high[axis], want["range"][axis][1]);
    }
    const auto found = histogram_divergence(real, golden_points(entry, "fake"), grid);
    const double value = want["value"];
    EXPECT_NEAR(found.value, value, 1e-12) << entry["name"];
    EXPECT_EQ(found.fake_outside, want["fake_outside"]);
  }
}

// Four cells and the one beyond: 10.5 / 42.5 of the real mass in each corner, 40.5 / 42.5 of the fake mass in
// one.
TEST(HistogramDivergence, KnownHistograms) {
  const auto grid = grid_of(corners());
  EXPECT_EQ(grid.bins, 2);
  const double corner = 10.5 / 42.5;
  const auto one = histogram_divergence(corners(), repeated(0.2F, 0.3F, 40), grid);
  EXPECT_NEAR(one.value, corner * std::log(10.5 / 40.5) + 3 * corner * std::log(10.5 / 0.5), 1e-14);
  EXPECT_EQ(one.fake_outside, 0);
  const auto none = histogram_divergence(corners(), repeated(1.5F, 0.3F, 40), grid);
  EXPECT_NEAR(none.value, 4 * corner * std::log(10.5 / 0.5) + 0.5 / 42.5 * std::log(0.5 / 40.5), 1e-14);
  EXPECT_EQ(none.fake_outside, 40);
}

// Another number of fake points: 20.5 / 82.5 in each corner.
TEST(HistogramDivergence, OtherCountsAreSharesToo) {
  const double p = 10.5 / 42.5, q = 20.5 / 82.5, p_out = 0.5 / 42.5, q_out = 0.5 / 82.5;
  const auto found = histogram_divergence(corners(), corners().repeat({2, 1}), grid_of(corners()));
  EXPECT_NEAR(found.value, 4 * p * std::log(p / q) + p_out * std::log(p_out / q_out), 1e-14);
}

TEST(HistogramDivergence, ASetAgainstItselfIsZero) {
  const auto set = normal_features(1, 1000, 2);
  EXPECT_EQ(histogram_divergence(set, set.flip(0), grid_of(set)).value, 0.0);
}

// An edge belongs to the cell above it, but the last one to the cell below.
TEST(HistogramDivergence, EdgesBelongToOneCell) {
  const auto grid = grid_of(corners());
  const auto value = [&](float x) { return histogram_divergence(corners(), repeated(x, 0, 40), grid).value; };
  EXPECT_EQ(value(0.5F), value(1.0F));
  EXPECT_EQ(value(std::nextafter(0.5F, 0.0F)), value(0.0F));
  EXPECT_GT(value(std::nextafter(1.0F, 2.0F)), value(1.0F));
}

// Missing mass weighs: fake points on half of the real ones read more than real points' own scatter does.
TEST(HistogramDivergence, TellsMissingPartsFromScatter) {
  const auto real = normal_features(2, 4000, 2), fresh = normal_features(3, 4000, 2);
  auto half = fresh.clone();
  half.select(1, 0).abs_();
  const auto grid = grid_of(real);
  EXPECT_GT(histogram_divergence(real, half, grid).value, 5 * histogram_divergence(real, fresh, grid).value);
}

TEST(PointGrid, HasTenRealPointsACell) {
  for (const auto& [count, bins] : {std::pair{2, 2}, {39, 2}, {999, 9}, {1000, 10}, {30'000, 54}}) {
    EXPECT_EQ(grid_of(normal_features(4, count, 2)).bins, bins) << count;
  }
}

TEST(HistogramDivergence, RefusesBadInput) {
  const auto set = normal_features(5, 10, 2);
  EXPECT_THAT(message_of<core::DataError>([&] {
                grid_of(torch::ones({10, 2}));
              }),
              HasSubstr("all real points have the same x"));
  auto level = set.clone();
  level.select(1, 1).fill_(3.0);
  EXPECT_THAT(message_of<core::DataError>([&] { grid_of(level); }), HasSubstr("the same y"));
  EXPECT_THAT(message_of<core::DataError>([&] {
                grid_of(torch::zeros({0, 2}));
              }),
              HasSubstr("at least 1 points"));
  EXPECT_THAT(message_of<core::DataError>([&] { grid_of(normal_features(5, 10, 3)); }),
              HasSubstr("points of 2 coordinates, not 3"));
  const auto nan = torch::full({3, 2}, std::numeric_limits<float>::quiet_NaN());
  EXPECT_THAT(message_of<core::DataError>([&] { histogram_divergence(set, nan, grid_of(set)); }),
              HasSubstr("fake points hold NaN"));
}

}  // namespace
}  // namespace ddpm_eval::metrics
