#include "metrics/extrapolation.h"

#include "base/core/error.h"
#include "base/tensor/noise.h"
#include "metrics/frechet.h"
#include "metrics/inception_score.h"
#include "tests/support/errors.h"
#include "tests/support/normal_sets.h"
#include "tests/support/synthetic_features.h"
#include "tests/support/temp_dir.h"

#include <cmath>
#include <fstream>
#include <limits>
#include <stdexcept>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::metrics {
namespace {

using ::testing::ElementsAre;
using testing::exact_moments;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::message_of;
using testing::shifted_normal;
using testing::standard_normal;
using testing::synthetic_features;

TEST(FirstSize, IsThatOfThePublishedToolsWhereItCanBe) {
  EXPECT_EQ(first_size(50'000, 2048), 5000);  // Chong & Forsyth, and dgm-eval
  EXPECT_EQ(first_size(100'000, 2048), 5000);
  EXPECT_EQ(first_size(10'000, 2048), 4096);  // dgm-eval: 1000, below the number of features
  EXPECT_EQ(first_size(3000, 2048), 1500);
  EXPECT_EQ(first_size(10'000, 16), 1000);  // dgm-eval
  EXPECT_EQ(first_size(200, 16), 32);
  EXPECT_EQ(first_size(3, 2048), 2);
}

TEST(BiasOfFew, IsWhatAHalfIsFartherAway) {
  const auto set = standard_normal(48);
  const auto real = exact_moments(set);
  const auto rows = set.draw(3, 0, 16);
  const auto all = moments_of(rows);
  const double distance = frechet_distance(real, all).distance;
  const auto bias = bias_of_few(real, all, distance, 9);
  ASSERT_TRUE(bias);
  double sum = 0;
  for (const int64_t half : {0, 1, 2, 3}) {
    const auto order = tensor::permutation({9, "bias.half"}, half / 2, 16).narrow(0, half % 2 * 8, 8);
    sum += frechet_distance(real, moments_of(rows.index_select(0, order))).distance;
  }
  EXPECT_NEAR(*bias, sum / 4 - distance, 1e-9 * distance);
  // Of equal distributions all of the distance is bias.
  EXPECT_GT(*bias, 0.3 * distance);
  EXPECT_LT(*bias, distance);
}

TEST(BiasOfFew, IsNotKnownOfEnoughImagesNorOfStatistics) {
  const auto set = standard_normal(8);
  const auto real = exact_moments(set);
  EXPECT_FALSE(bias_of_few(real, moments_of(set.draw(3, 0, 8)), 1.0));
  EXPECT_FALSE(bias_of_few(real, moments_of(set.draw(3, 0, 3)), 1.0));
  EXPECT_FALSE(bias_of_few(real, real, 1.0));
  EXPECT_TRUE(bias_of_few(real, moments_of(set.draw(3, 0, 4)), 1.0));
}

TEST(FitInInverseSize, FindsALine) {
  std::vector<double> values;
  for (const double size : {10.0, 20.0, 40.0, 80.0}) {
    values.push_back(3.0 + 7.0 / size);
  }
  const auto fit = fit_in_inverse_size({10, 20, 40, 80}, values);
  EXPECT_NEAR(fit.intercept, 3.0, 1e-12);
  EXPECT_NEAR(fit.slope, 7.0, 1e-11);
  EXPECT_NEAR(fit.r_squared, 1.0, 1e-12);
  EXPECT_NEAR(fit.intercept_deviation, 0.0, 1e-9);
}

// Sizes whose inverses are 3, 2 and 1 twelfths. The intercept is (-2 y_1 + y_2 + 4 y_3) / 3. Of Brownian
// motion its variance is sigma^2 / 12 / 9 (4 * 3 + 1 * 2 + 16 * 1 + 2 (-2 * 2 - 8 * 1 + 4 * 1)) = sigma^2 14
// / 108; the steps of 5 and 3 leave 1 and -1 beside their mean, so sigma^2 = (1 + 1) 12 / (3 - 2).
TEST(FitInInverseSize, TheDeviationByHand) {
  const auto fit = fit_in_inverse_size({4, 6, 12}, {9.0, 4.0, 1.0});
  EXPECT_NEAR(fit.intercept, (-2 * 9.0 + 4.0 + 4 * 1.0) / 3, 1e-12);
  EXPECT_NEAR(fit.slope, 4.0 * 12, 1e-10);
  EXPECT_NEAR(fit.r_squared, 48.0 / 49, 1e-12);
  EXPECT_NEAR(fit.intercept_deviation, std::sqrt(24.0 * 14 / 108), 1e-12);
}

TEST(FrechetInfinity, TheLastValueIsTheDistanceItself) {
  const auto real = moments_of(standard_normal(8).draw(1, 0, 500));
  const auto fake = shifted_normal(8, 0.5, 1.3).draw(2, 0, 400);
  const auto fit = frechet_infinity(real, fake);
  ASSERT_EQ(fit.sizes.size(), 15U);
  EXPECT_EQ(fit.sizes.front(), 40);
  EXPECT_EQ(fit.sizes.back(), 400);
  EXPECT_NEAR(fit.values.back(), frechet_distance(real, moments_of(fake)).distance, 1e-9);
  EXPECT_GT(fit.slope, 0.0);
  EXPECT_THAT(fit.notes, IsEmpty());
}

// Formula-made features, laid out so that the shuffle brings them into the golden order.
TEST(FrechetInfinity, AgreesWithNumpy) {
  std::ifstream file(testing::source_dir() / "tests/golden/uncertainty.json");
  const auto golden = nlohmann::json::parse(file);
  for (const auto& entry : golden["frechet"]) {
    const auto features = [&](const char* side) {
      const auto& spec = entry[side];
      return synthetic_features({spec["seed"], spec["count"], spec["offset"], spec["scale"]}, entry["dim"]);
    };
    const auto rows = features("fake");
    const auto fake = torch::empty_like(rows).index_copy_(
        0, tensor::permutation({9, "extrapolation.order"}, 0, rows.size(0)), rows);
    const auto fit = frechet_infinity(moments_of(features("real")), fake, {.seed = 9});
    const auto& wanted = entry["infinity"];
    EXPECT_EQ(fit.sizes, wanted["sizes"].get<std::vector<int64_t>>()) << entry["name"];
    for (size_t i = 0; i < fit.values.size(); ++i) {
      EXPECT_NEAR(fit.values[i], wanted["values"][i].get<double>(), 1e-7) << entry["name"];
    }
    EXPECT_NEAR(fit.intercept, wanted["intercept"].get<double>(), 1e-6) << entry["name"];
    EXPECT_NEAR(fit.slope, wanted["slope"].get<double>(), 1e-6 * fit.slope) << entry["name"];
    EXPECT_NEAR(fit.r_squared, wanted["r_squared"].get<double>(), 1e-6) << entry["name"];
  }
}

TEST(ScoreInfinity, AgreesWithNumpy) {
  std::ifstream file(testing::source_dir() / "tests/golden/uncertainty.json");
  const auto golden = nlohmann::json::parse(file);
  for (const auto& entry : golden["score"]) {
    const auto rows =
        synthetic_features({entry["seed"], entry["count"], 0.0, entry["scale"]}, entry["classes"]);
    const auto logits = torch::empty_like(rows).index_copy_(
        0, tensor::permutation({9, "extrapolation.order"}, 0, rows.size(0)), rows);
    const auto fit = score_infinity(logits, {.seed = 9});
    const auto& wanted = entry["infinity"];
    EXPECT_EQ(fit.sizes, wanted["sizes"].get<std::vector<int64_t>>()) << entry["name"];
    EXPECT_NEAR(fit.values.front(), wanted["values"].front().get<double>(), 1e-10) << entry["name"];
    EXPECT_NEAR(fit.intercept, wanted["intercept"].get<double>(), 1e-9) << entry["name"];
    EXPECT_NEAR(fit.slope, wanted["slope"].get<double>(), 1e-9 * std::abs(fit.slope)) << entry["name"];
    EXPECT_NEAR(fit.r_squared, wanted["r_squared"].get<double>(), 1e-9) << entry["name"];
    EXPECT_NEAR(fit.values.back(), inception_score(logits, {1, std::nullopt}).mean, 1e-10);
  }
}

TEST(Extrapolation, IsAFunctionOfTheSeed) {
  const auto real = moments_of(standard_normal(4).draw(3, 0, 100));
  const auto fake = standard_normal(4).draw(4, 0, 100);
  EXPECT_EQ(frechet_infinity(real, fake, {.seed = 1}).values,
            frechet_infinity(real, fake, {.seed = 1}).values);
  EXPECT_NE(frechet_infinity(real, fake, {.seed = 1}).values,
            frechet_infinity(real, fake, {.seed = 2}).values);
  EXPECT_EQ(score_infinity(fake, {.seed = 1}).intercept, score_infinity(fake, {.seed = 1}).intercept);
}

TEST(Extrapolation, FewImagesHaveFewSizesAndANote) {
  const auto real = moments_of(standard_normal(8).draw(5, 0, 100));
  const auto fit = frechet_infinity(real, standard_normal(8).draw(6, 0, 5));
  EXPECT_THAT(fit.sizes, ElementsAre(2, 3, 4, 5));
  EXPECT_THAT(fit.notes, ElementsAre(HasSubstr("begin at 2, below twice the 8 columns")));
  EXPECT_THAT(score_infinity(standard_normal(2).draw(6, 0, 100), {.sizes = 3, .smallest = 50}).sizes,
              ElementsAre(50, 75, 100));
}

TEST(Extrapolation, CanBeEnded) {
  const auto real = moments_of(standard_normal(4).draw(7, 0, 100));
  int64_t last = 0;
  const auto until_three = [&](int64_t done, int64_t total) {
    EXPECT_EQ(total, 15);
    last = done;
    if (done == 3) {
      throw std::runtime_error("enough");
    }
  };
  EXPECT_THROW(frechet_infinity(real, standard_normal(4).draw(8, 0, 100), {}, until_three),
               std::runtime_error);
  EXPECT_EQ(last, 3);
}

TEST(Extrapolation, RefusesWhatHasNoLine) {
  const auto real = moments_of(standard_normal(4).draw(9, 0, 100));
  const auto fake = standard_normal(4).draw(10, 0, 50);
  EXPECT_THAT(message_of<core::DataError>([&] { frechet_infinity(real, fake.narrow(0, 0, 3)); }),
              HasSubstr("3 images are too few"));
  EXPECT_THAT(message_of<core::DataError>([&] { score_infinity(fake.narrow(0, 0, 0)); }),
              HasSubstr("0 images are too few"));
  EXPECT_THAT(message_of<core::UsageError>([&] { frechet_infinity(real, fake, {.sizes = 2}); }),
              HasSubstr("at least 3 of them, not 2"));
  for (const int64_t smallest : {-1, 1, 49, 51}) {
    EXPECT_THAT(message_of<core::UsageError>([&] { frechet_infinity(real, fake, {.smallest = smallest}); }),
                HasSubstr("do not fit 50 images"));
  }
  const auto nan = torch::full({50, 4}, std::numeric_limits<float>::quiet_NaN());
  EXPECT_THAT(message_of<core::DataError>([&] { score_infinity(nan); }), HasSubstr("NaN"));
  EXPECT_THAT(message_of<core::DataError>([&] { frechet_infinity(real, nan); }), HasSubstr("NaN"));
}

}  // namespace
}  // namespace ddpm_eval::metrics
