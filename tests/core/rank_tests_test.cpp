#include "base/core/rank_tests.h"

#include "base/core/error.h"

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ddpm_eval::core {
namespace {

using Values = std::vector<double>;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

void expect_p(const OneSidedP& p, double greater, double less) {
  EXPECT_NEAR(p.greater, greater, 1e-14);
  EXPECT_NEAR(p.less, less, 1e-14);
}

void expect_estimate(const Estimate& estimate, double value, double low, double high) {
  const auto same = [](double one, double other) { return one == other || std::abs(one - other) < 1e-14; };
  EXPECT_TRUE(same(estimate.value, value)) << estimate.value;
  EXPECT_TRUE(same(estimate.low, low)) << estimate.low;
  EXPECT_TRUE(same(estimate.high, high)) << estimate.high;
}

// The inputs of tools/golden/rank_tests.py.
const Values kNew = {1.313, 1.127, 1.482, 1.071, 1.226, 1.038, 1.364, 1.195};
const Values kBase = {1.052, 1.116, 0.983, 1.179, 1.024, 0.937, 1.098};
const Values kDifferences = {0.313, -0.127, 0.482, 0.071, 0.226, -0.038, 0.364, 0.195, 0.113, 0.278};

Values long_sample(int64_t step, double above) {
  Values values;
  for (int64_t i = 0; i < 40; ++i) {
    values.push_back(static_cast<double>(i * step % 41) / 10 + above);
  }
  return values;
}

TEST(RankSum, CountsTheChoicesByHand) {
  expect_p(rank_sum_test(Values{3, 4}, Values{1, 2}), 1.0 / 6, 1);        // ranks 3 + 4 alone
  expect_p(rank_sum_test(Values{1, 4}, Values{2, 3}), 4.0 / 6, 4.0 / 6);  // 5 in the middle of 3 4 5 5 6 7
  expect_p(rank_sum_test(Values{2}, Values{1, 1, 1}), 1.0 / 4, 1);
  expect_p(rank_sum_test(Values{1, 2}, Values{1, 2}), 5.0 / 6, 5.0 / 6);  // 1.5 1.5 3.5 3.5
  expect_p(rank_sum_test(Values{7, 7}, Values{7, 7, 7}), 1, 1);
  expect_p(rank_sum_test(Values{}, Values{7}), 1, 1);
}

TEST(RankSum, TheSmallestIsThatOfSeparateSamples) {
  Values low, high;
  for (int i = 1; i <= 10; ++i) {
    low.push_back(i);
    high.push_back(100.0 + i / 7);  // most of them tied
    EXPECT_NEAR(rank_sum_test(high, low).greater / smallest_rank_sum_p(i, i), 1, 1e-12);
    EXPECT_NEAR(rank_sum_test(low, high).less / smallest_rank_sum_p(i, i), 1, 1e-12);
  }
  EXPECT_NEAR(smallest_rank_sum_p(10, 10) * 184756, 1, 1e-12);
  EXPECT_NEAR(smallest_rank_sum_p(3, 5) * 56, 1, 1e-12);
  EXPECT_EQ(smallest_rank_sum_p(0, 5), 1);
}

TEST(RankSum, AgreesWithScipy) {
  // SciPy 1.10.1, tools/golden/rank_tests.py
  expect_p(rank_sum_test(kNew, kBase), 0.010256410256410256, 0.9930069930069931);
  expect_p(rank_sum_test(Values{3, 4, 4, 5, 6, 6, 7}, Values{1, 2, 3, 3, 4, 4}), 0.013403263403263404,
           0.997086247086247);
  expect_p(rank_sum_test(long_sample(37, 0.6), long_sample(29, 0)), 0.015739776638038844, 0.9846361585354384);
}

TEST(RankSum, TheApproximationContinuesTheExactTest) {
  Values low, high;
  for (int i = 0; i < 30; ++i) {
    low.push_back(i);
    high.push_back(i + 4.5);
  }
  const auto exact = rank_sum_test(high, low);
  high.push_back(19.25);  // beyond what is exact, and near the middle
  const auto approximate = rank_sum_test(high, low);
  EXPECT_NEAR(approximate.greater / exact.greater, 1, 0.1);
  EXPECT_NEAR(approximate.less / exact.less, 1, 0.02);
  expect_p(rank_sum_test(Values(40, 2.0), Values(40, 2.0)), 1, 1);
}

TEST(BlockedRankSum, CountsTheChoicesByHand) {
  // Ranks 2 + 2 + 2 of pairs are one of eight choices; one pair the other way round leaves four as large.
  expect_p(blocked_rank_sum_test(Values{11, 22, 33}, Values{10, 20, 30}, 3), 1.0 / 8, 1);
  expect_p(blocked_rank_sum_test(Values{11, 22, 29}, Values{10, 20, 30}, 3), 4.0 / 8, 7.0 / 8);
  // Of two blocks of two each, the sums are 3 4 5 5 6 7: 7 and 6 are as much as 6 and 7, and 7 and 7 more.
  expect_p(blocked_rank_sum_test(Values{13, 14, 102, 104}, Values{11, 12, 101, 103}, 2), 3.0 / 36, 35.0 / 36);
  expect_p(blocked_rank_sum_test(Values{5, 5, 7, 7}, Values{5, 5, 7, 7}, 2), 1, 1);
  expect_p(blocked_rank_sum_test(kDifferences, kDifferences, 1),
           rank_sum_test(kDifferences, kDifferences).greater, rank_sum_test(kDifferences, kDifferences).less);
}

TEST(BlockedRankSum, WhatPartsShareChangesNothing) {
  const Values base = {10, 11, 12, 13, 14, 15, 16, 17, 18, 19};
  Values now = base;
  for (size_t i = 0; i < now.size(); ++i) {
    now[i] += i % 3 == 0 ? -0.5 : 1.5;
  }
  Values moved_base = base, moved = now;
  for (size_t i = 5; i < base.size(); ++i) {
    moved_base[i] += 1000;
    moved[i] += 1000;
  }
  EXPECT_EQ(blocked_rank_sum_test(now, base, 2).greater, blocked_rank_sum_test(moved, moved_base, 2).greater);
}

TEST(BlockedRankSum, TheSmallestIsThatOfSeparateSamplesInEachPart) {
  Values low, high;
  for (int i = 0; i < 12; ++i) {
    low.push_back(i);
    high.push_back(i + 100);
  }
  for (int64_t blocks = 1; blocks <= 12; ++blocks) {
    EXPECT_NEAR(blocked_rank_sum_test(high, low, blocks).greater / smallest_blocked_rank_sum_p(12, blocks), 1,
                1e-9);
  }
  EXPECT_NEAR(smallest_blocked_rank_sum_p(12, 3) * 70 * 70 * 70, 1, 1e-12);
  EXPECT_NEAR(smallest_blocked_rank_sum_p(11, 3) * 20 * 70 * 70, 1, 1e-12);
}

TEST(Estimates, ShiftsAgreeWithScipy) {
  // SciPy 1.10.1, tools/golden/rank_tests.py
  expect_estimate(shift(kNew, kBase, 0.95), 0.1575, 0.016, 0.33);
  expect_estimate(shift(kNew, kBase, 0.99), 0.1575, -0.027, 0.381);
  expect_estimate(paired_shift(kDifferences, 0.95), 0.195, 0.0495, 0.321);
  expect_estimate(paired_shift(kDifferences, 0.8), 0.195, 0.094, 0.278);
}

TEST(Estimates, AShiftIsFoundAsItIs) {
  auto moved = kBase;
  for (auto& value : moved) {
    value += 0.25;
  }
  EXPECT_DOUBLE_EQ(shift(moved, kBase, 0.95).value, 0.25);
  EXPECT_DOUBLE_EQ(paired_shift(Values(6, 0.25), 0.95).low, 0.25);
}

TEST(Estimates, TooFewValuesLeaveTheIntervalOpen) {
  expect_estimate(shift(Values{3, 4, 5}, Values{1, 2, 3}, 0.95), 2, -kInfinity, kInfinity);  // 1 / 20 > 2.5 %
  expect_estimate(shift(Values{3, 4, 5}, Values{1, 2, 3}, 0.89), 2, 0, 4);
  expect_estimate(paired_shift(Values{1, 2, 3, 4, 5}, 0.95), 3, -kInfinity, kInfinity);  // 1 / 32
  expect_estimate(paired_shift(Values{1, 2, 3, 4, 5, 6}, 0.95), 3.5, 1, 6);
  expect_estimate(median(Values{1, 2, 3, 4, 5}, 0.95), 3, -kInfinity, kInfinity);
}

TEST(Estimates, TheMiddleIsTheMedianAlone) {
  for (const auto& values : {Values{7}, Values{4, 1, 3, 2}, Values{10, 9, 8, 7, 6, 5, 4}}) {
    EXPECT_EQ(middle(values), median(values, 0.95).value);
  }
  EXPECT_THROW(middle(Values{}), LogicError);
}

TEST(Estimates, TheMediansIntervalCountsCoins) {
  // Of 10 coins at most one is head in 11 of 1024 cases, at most two in 56: 1.1 % and 5.5 %.
  expect_estimate(median(Values{10, 9, 8, 7, 6, 5, 4, 3, 2, 1}, 0.95), 5.5, 2, 9);
  expect_estimate(median(Values{10, 9, 8, 7, 6, 5, 4, 3, 2, 1}, 0.88), 5.5, 3, 8);
  expect_estimate(median(Values{7}, 0.95), 7, -kInfinity, kInfinity);
}

TEST(Estimates, IntervalsOfManyValuesContinueThoseOfFew) {
  const auto width = [](int64_t count) {
    Values values;
    for (int64_t i = 0; i < count; ++i) {
      values.push_back(static_cast<double>(i * 37 % 101));
    }
    const auto independent = shift(values, values, 0.95);
    EXPECT_EQ(independent.value, 0);
    EXPECT_EQ(independent.low, -independent.high);
    const auto paired = paired_shift(values, 0.95);
    EXPECT_LT(paired.low, paired.value);
    return std::pair(independent.high, paired.high - paired.low);
  };
  EXPECT_NEAR(width(31).first / width(30).first, 1, 0.1);
  EXPECT_NEAR(width(101).second / width(100).second, 1, 0.05);
}

TEST(Estimates, WhatIsNoNumberIsABug) {
  EXPECT_THROW(rank_sum_test(Values{1, NAN}, kBase), LogicError);
  EXPECT_THROW(blocked_rank_sum_test(Values{kInfinity, 1}, Values{1, 2}, 2), LogicError);
  EXPECT_THROW(blocked_rank_sum_test(kNew, kBase, 2), LogicError);
  EXPECT_THROW(shift(Values{}, kBase, 0.95), LogicError);
  EXPECT_THROW(paired_shift(Values{}, 0.95), LogicError);
  EXPECT_THROW(median(Values{}, 0.95), LogicError);
}

}  // namespace
}  // namespace ddpm_eval::core
