#include "metrics/neighbour_intervals.h"

#include "base/core/error.h"

#include <cmath>

#include <gtest/gtest.h>
#include <torch/types.h>

namespace ddpm_eval::metrics {
namespace {

at::Tensor column(const std::vector<float>& values) { return torch::tensor(values).unsqueeze(1); }

void expect_interval(const Uncertainty& found, double value, double deviation, double low, double high) {
  EXPECT_DOUBLE_EQ(found.value, value);
  EXPECT_NEAR(found.deviation, deviation, 1e-12);
  ASSERT_TRUE(found.at_count);
  EXPECT_NEAR(found.at_count->low, low, 1e-9);
  EXPECT_NEAR(found.at_count->high, high, 1e-9);
  EXPECT_FALSE(found.at_infinity);
}

// Wilson's by hand, with Student's t of 3 and 2 degrees of freedom: 3.182446305 and 4.302652730. Three of the
// four fake images are in balls; 0.5 is in two of them, where it is alone.
TEST(NeighbourIntervals, PointsOnALineByHand) {
  const auto scores = neighbour_scores(column({0, 1, 3}), column({0.5, 4, 5, 10}), {.k = 1});
  const auto found = neighbour_uncertainty(scores);
  expect_interval(found.precision, 0.75, std::sqrt(0.75 * 0.25 / 4), 0.1626970186843525, 0.9788661910745206);
  expect_interval(found.recall, 1.0, 0.0, 0.13945172823888813, 1.0);
  expect_interval(found.authenticity, 0.25, std::sqrt(0.75 * 0.25 / 4), 0.02113380892547939,
                  0.8373029813156474);
  expect_interval(found.density, 1.0, 0.408248290463863, 0.0, 2.2992282636253374);
  // Without 0.5 a third of the balls is hit, without any other all: 3 / 4 (3 (1/6)^2 + (1/2)^2) = 1 / 4.
  expect_interval(found.coverage, 1.0, 0.5, 0.0, 1.0);
  EXPECT_TRUE(found.precision.conditional_on_real);
  EXPECT_FALSE(found.recall.conditional_on_real);
  EXPECT_EQ(found.recall.at_count->estimand, "the recall of infinitely many real images by these fake ones");
}

TEST(NeighbourIntervals, OfNoWidthAreWithheld) {
  const auto copies = neighbour_scores(column({0, 1, 2, 3}), column({1.5, 1.5, 1.5}), {.k = 1});
  const auto found = neighbour_uncertainty(copies);
  for (const auto& one : {found.density, found.coverage}) {
    EXPECT_EQ(one.deviation, 0.0);
    EXPECT_FALSE(one.at_count);
    EXPECT_EQ(one.withheld, "no fake image tells another value than the others; score more of them");
  }
  EXPECT_EQ(found.precision.at_count->high, 1.0);
  EXPECT_LT(found.precision.at_count->low, 1.0);
  const auto outside =
      neighbour_uncertainty(neighbour_scores(column({0, 1}), column({50, 60, 70}), {.k = 1}));
  EXPECT_EQ(outside.precision.at_count->low, 0.0);
}

TEST(NeighbourIntervals, GrowWithTheLevel) {
  const auto scores = neighbour_scores(torch::randn({40, 3}), torch::randn({40, 3}), {.k = 1});
  const auto narrow = neighbour_uncertainty(scores, 0.5), wide = neighbour_uncertainty(scores, 0.99);
  EXPECT_LT(narrow.precision.at_count->high, wide.precision.at_count->high);
  EXPECT_LT(narrow.density.at_count->high, wide.density.at_count->high);
  EXPECT_THROW(neighbour_uncertainty(scores, 1.0), core::LogicError);
}

}  // namespace
}  // namespace ddpm_eval::metrics
