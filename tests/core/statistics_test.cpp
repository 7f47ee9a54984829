#include "base/core/statistics.h"

#include <cmath>
#include <numbers>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ddpm_eval::core {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<double> values(std::initializer_list<double> list) { return list; }

TEST(Statistics, MeanAndSampleDeviation) {
  const auto four = mean_and_sd(values({2, 4, 4, 6}));
  EXPECT_EQ(four.count, 4);
  EXPECT_DOUBLE_EQ(four.mean, 4);
  EXPECT_DOUBLE_EQ(four.sd, std::sqrt(8.0 / 3));
  EXPECT_DOUBLE_EQ(four.error(), std::sqrt(2.0 / 3));
  const auto one = mean_and_sd(values({3.5}));
  EXPECT_EQ(one.mean, 3.5);
  EXPECT_EQ(one.sd, 0);
}

TEST(SignFlip, CountsTheChoicesOfSignsByHand) {
  EXPECT_EQ(sign_flip_p(values({1, 2, 3})), 2.0 / 8);   // 6 and -6 alone
  EXPECT_EQ(sign_flip_p(values({-1, 2, 3})), 4.0 / 8);  // |sum| >= 4: 6 and 4, and their opposites
  EXPECT_EQ(sign_flip_p(values({1, 1, -1})), 1);        // every |sum| is 1 or 3
  EXPECT_EQ(sign_flip_p(values({0, 0, 5})), 1);
  EXPECT_EQ(sign_flip_p(values({7})), 1);
  EXPECT_EQ(sign_flip_p({}), 1);
}

TEST(SignFlip, EqualDifferencesFollowTheBinomialDistribution) {
  // 9 of 10 equal differences are positive: |sum| >= 8 in 2 (1 + 10) of 1024 cases, for any size of them.
  for (const double size : {1.0, 0.1, 1e-9, 3e200}) {
    std::vector<double> differences(10, size);
    differences[4] = -size;
    EXPECT_EQ(sign_flip_p(differences), 22.0 / 1024) << size;
  }
  // 30 of 30, exact where an enumeration would take 2^30 steps.
  EXPECT_EQ(sign_flip_p(std::vector<double>(30, 0.3)), std::ldexp(1.0, -29));
  EXPECT_EQ(smallest_sign_flip_p(30), std::ldexp(1.0, -29));
  EXPECT_EQ(smallest_sign_flip_p(1), 1);
  EXPECT_EQ(smallest_sign_flip_p(0), 1);
}

TEST(SignFlip, AgreesWithScipy) {
  // scipy 1.17.1: permutation_test((d,), mean, permutation_type='samples', n_resamples=inf).pvalue
  EXPECT_EQ(sign_flip_p(values({0.31, -0.12, 0.48, 0.07, 0.22, -0.03, 0.36, 0.19, 0.11, 0.27})), 0.015625);
  EXPECT_EQ(sign_flip_p(values({-1.2, 0.4, -0.8, 0.1, -0.5, 0.3, -0.9, -0.2})), 0.15625);
}

TEST(Holm, CorrectsByHand) {
  // Sorted .005, .01, .03, .04 become 4 x .005, 3 x .01, 2 x .03 and no less than that.
  EXPECT_THAT(holm(values({0.01, 0.04, 0.03, 0.005})),
              ElementsAre(DoubleNear(0.03, 1e-15), DoubleNear(0.06, 1e-15), DoubleNear(0.06, 1e-15),
                          DoubleNear(0.02, 1e-15)));
  EXPECT_THAT(holm(values({0.5, 0.9})), ElementsAre(1, 1));
  EXPECT_THAT(holm(values({0.2})), ElementsAre(0.2));
  EXPECT_THAT(holm({}), IsEmpty());
}

// Closed forms for 1 and 2 degrees of freedom; the others from the tables.
TEST(StudentT, QuantilesAreThoseOfTheTables) {
  for (const double p : {0.6, 0.9, 0.975, 0.9999}) {
    const double a = 2 * p - 1;
    EXPECT_NEAR(student_t_quantile(p, 1) / std::tan(0.5 * std::numbers::pi * a), 1, 1e-10) << p;
    EXPECT_NEAR(student_t_quantile(p, 2) / (a * std::sqrt(2 / (1 - a * a))), 1, 1e-10) << p;
    EXPECT_NEAR(student_t_quantile(1 - p, 7), -student_t_quantile(p, 7), 1e-10) << p;
  }
  EXPECT_EQ(student_t_quantile(0.5, 3), 0);
  EXPECT_NEAR(student_t_quantile(0.975, 19), 2.093024054408263, 1e-10);
  EXPECT_NEAR(student_t_quantile(0.975, 49), 2.0095752371292335, 1e-10);
  EXPECT_NEAR(student_t_quantile(0.995, 4.5), 4.272823993022849, 1e-10);
  EXPECT_NEAR(student_t_quantile(0.975, 1e6), 1.9599663568141066, 1e-9);
}

// numpy.quantile([9, 1, 4, 0, 16], share)
TEST(Quantile, IsLinearBetweenTheValuesAround) {
  std::vector<double> values = {9, 1, 4, 0, 16};
  for (const auto& [share, wanted] :
       {std::pair{0.0, 0.0}, {0.25, 1.0}, {0.3, 1.6}, {0.5, 4.0}, {0.95, 14.6}, {1.0, 16.0}}) {
    EXPECT_DOUBLE_EQ(quantile(values, share), wanted) << share;
  }
  std::vector<double> one = {3};
  EXPECT_EQ(quantile(one, 0.7), 3.0);
}

}  // namespace
}  // namespace ddpm_eval::core
