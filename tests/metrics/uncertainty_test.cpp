#include "metrics/uncertainty.h"

#include "base/core/error.h"
#include "tests/support/errors.h"

#include <cmath>
#include <functional>
#include <vector>

#include <gmock/gmock.h>

namespace ddpm_eval::metrics {
namespace {

using ::testing::HasSubstr;
using testing::message_of;

const std::vector<double> kValues = {3.0, -1.0, 4.0, 1.5, 0.25, 2.0};

/// Statistic of the values at all places but these.
double without(const std::function<double(double mean)>& statistic, std::initializer_list<size_t> left_out) {
  double sum = 0.0;
  int64_t count = 0;
  for (size_t i = 0; i < kValues.size(); ++i) {
    if (std::find(left_out.begin(), left_out.end(), i) == left_out.end()) {
      sum += kValues[i];
      ++count;
    }
  }
  return statistic(sum / static_cast<double>(count));
}

struct Deleted {
  double all;
  std::vector<double> groups, pairs;
};

Deleted delete_each(const std::function<double(double mean)>& statistic) {
  Deleted result{without(statistic, {}), {}, {}};
  for (size_t i = 0; i < kValues.size(); ++i) {
    result.groups.push_back(without(statistic, {i}));
  }
  for (size_t i = 0; i < kValues.size(); i += 2) {
    result.pairs.push_back(without(statistic, {i, i + 1}));
  }
  return result;
}

/// Of kValues, divided by n - 1.
double variance() {
  const double mean = without([](double value) { return value; }, {});
  double sum = 0.0;
  for (const double value : kValues) {
    sum += (value - mean) * (value - mean);
  }
  return sum / 5;
}

TEST(Jackknife, OfAMeanIsItsStandardError) {
  const auto deleted = delete_each([](double mean) { return mean; });
  for (const auto& found :
       {jackknife(deleted.all, deleted.groups), jackknife(deleted.all, deleted.groups, deleted.pairs)}) {
    EXPECT_NEAR(found.deviation, std::sqrt(variance() / 6), 1e-12);
    EXPECT_NEAR(found.bias, 0.0, 1e-12);
  }
}

// The square of a mean is too large by the variance of the mean, and its jackknife says so exactly.
TEST(Jackknife, OfASquaredMeanFindsItsBias) {
  const auto deleted = delete_each([](double mean) { return mean * mean; });
  EXPECT_NEAR(jackknife(deleted.all, deleted.groups).bias, variance() / 6, 1e-12);
}

// Of x^2 alone, around a mean of 0, the pairs see 2 x_j x_k / g and small terms, by hand for g = 6.
TEST(Jackknife, PairsTakeTheQuadraticPartAwayOnce) {
  const auto deleted = delete_each([](double mean) { return mean * mean; });
  const double plain = std::pow(jackknife(deleted.all, deleted.groups).deviation, 2);
  const double corrected = std::pow(jackknife(deleted.all, deleted.groups, deleted.pairs).deviation, 2);
  double squares = 0.0;
  for (size_t pair = 0; pair < 3; ++pair) {
    const double kernel = 6 * deleted.all - 5 * (deleted.groups[2 * pair] + deleted.groups[2 * pair + 1]) +
                          4 * deleted.pairs[pair];
    squares += kernel * kernel / 3;
  }
  const double quadratic = squares / (1 + 8.0 / 25 + 6.0 / 100) / 2;
  EXPECT_NEAR(plain - corrected, quadratic, 1e-12);
  EXPECT_GT(quadratic, 0.0);
}

TEST(Jackknife, TheVarianceIsAtLeastItsQuadraticPart) {
  const std::vector<double> groups(4, 1.0);
  const std::vector<double> pairs(2, 3.0);
  // 4 - 3 * 2 + 2 * 3 = 4: the plain variance is 0.
  EXPECT_NEAR(jackknife(1.0, groups, pairs).deviation, std::sqrt(16 / (1 + 4.0 / 9 + 2.0 / 18) / 2), 1e-12);
}

TEST(IntervalAround, UsesStudentsT) {
  const auto interval = interval_around(5.0, 2.0, 0.95, 19, "a number");
  EXPECT_EQ(interval.estimand, "a number");
  EXPECT_EQ(interval.centre, 5.0);
  EXPECT_NEAR(interval.high, 5.0 + 2.0 * 2.093024054408263, 1e-9);
  EXPECT_NEAR(interval.low, 5.0 - 2.0 * 2.093024054408263, 1e-9);
}

TEST(UncertaintyOptions, RefusesFewGroupsAndNoLevel) {
  EXPECT_THAT(message_of<core::UsageError>([] { check_uncertainty_options(3, 0.95); }),
              HasSubstr("at least 4 groups"));
  for (const double level : {0.0, 1.0, std::nan("")}) {
    EXPECT_THAT(message_of<core::UsageError>([&] { check_uncertainty_options(20, level); }),
                HasSubstr("between 0 and 1"));
  }
}

}  // namespace
}  // namespace ddpm_eval::metrics
