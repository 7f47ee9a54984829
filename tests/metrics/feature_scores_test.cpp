#include "base/core/error.h"
#include "base/tensor/noise.h"
#include "metrics/memorization.h"
#include "metrics/monge_distance.h"
#include "metrics/vendi_score.h"
#include "tests/support/errors.h"
#include "tests/support/synthetic_features.h"
#include "tests/support/temp_dir.h"

#include <cmath>
#include <fstream>
#include <limits>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::metrics {
namespace {

using ::testing::HasSubstr;
using testing::message_of;

at::Tensor normal_features(uint64_t seed, int64_t count, int64_t dim) {
  return tensor::normal_rows({seed, "feature-scores-test"}, tensor::index_range(0, count), 0, {dim});
}

/// What the tools say of the same features: tools/golden/make_feature_scores.py.
nlohmann::json golden() {
  std::ifstream file(testing::source_dir() / "tests/golden/feature_scores.json");
  return nlohmann::json::parse(file);
}

struct GoldenCase {
  explicit GoldenCase(const nlohmann::json& json)
      : entry(json), real(side(json["real"])), fake(side(json["fake"])), name(json["name"]) {}

  at::Tensor side(const nlohmann::json& spec) const {
    return testing::synthetic_features(
        {spec["seed"], spec["count"], spec["offset"].get<double>(), spec["scale"].get<double>()},
        entry["dim"]);
  }

  nlohmann::json entry;
  at::Tensor real, fake;
  std::string name;
};

/// `count` rows of `dim` numbers, of which row i has a 1 at place axes[i].
at::Tensor one_hot(const std::vector<int64_t>& axes, int64_t dim) {
  auto rows = torch::zeros({static_cast<int64_t>(axes.size()), dim});
  for (size_t i = 0; i < axes.size(); ++i) {
    rows[static_cast<int64_t>(i)][axes[i]] = 1.0F;
  }
  return rows;
}

TEST(VendiScore, AgreesWithDgmEval) {
  const auto all = golden();
  ASSERT_EQ(all["cases"].size(), 4u);
  for (const auto& json : all["cases"]) {
    const GoldenCase one(json);
    const double wanted = json["vendi"];
    EXPECT_NEAR(vendi_score(one.fake).value, wanted, 1e-12 * wanted) << one.name;
    // The tool's own arithmetic, float32.
    EXPECT_NEAR(vendi_score(one.fake).value, json["vendi_of_float32"].get<double>(), 1e-4 * wanted)
        << one.name;
  }
}

// Of k directions at right angles the score is the exponential of the entropy of their shares, however long
// the features are and on whichever side of n = d.
TEST(VendiScore, OfDirectionsAtRightAngles) {
  EXPECT_NEAR(vendi_score(one_hot({0, 1, 2, 3, 0, 1, 2, 3}, 4)).value, 4.0, 1e-12);
  EXPECT_NEAR(vendi_score(one_hot({0, 1, 2, 3}, 100)).value, 4.0, 1e-12);
  EXPECT_NEAR(vendi_score(one_hot({7, 7, 7}, 9)).value, 1.0, 1e-12);
  const double entropy = -0.75 * std::log(0.75) - 0.25 * std::log(0.25);
  const auto unequal = one_hot({0, 0, 0, 1}, 2);
  EXPECT_NEAR(vendi_score(unequal).value, std::exp(entropy), 1e-12);
  EXPECT_NEAR(vendi_score(unequal * torch::tensor({5.0F, 0.1F, 3.0F, 70.0F}).unsqueeze(1)).value,
              std::exp(entropy), 1e-12);
}

// An image of share p moves the entropy by -log p - S: three of -log 0.75 and one of -log 0.25, whose mean
// square is their variance, over n - 1 = 3.
TEST(VendiScore, StandardErrorByHand) {
  const double entropy = -0.75 * std::log(0.75) - 0.25 * std::log(0.25);
  const double often = -std::log(0.75) - entropy, rare = -std::log(0.25) - entropy;
  const auto found = vendi_score(one_hot({0, 0, 0, 1}, 2));
  ASSERT_TRUE(found.standard_error);
  EXPECT_NEAR(*found.standard_error,
              std::exp(entropy) * std::sqrt((3 * often * often + rare * rare) / (4 * 3)), 1e-12);
  EXPECT_FALSE(vendi_score(one_hot({0, 0, 1}, 2)).standard_error) << "3 images for 2 features";
}

TEST(SlowVendiScore, StandardErrorIsTheDeviationSeen) {
  constexpr int kRepetitions = 400;
  const auto spread = torch::linspace(1.0, 0.2, 12);
  double sum = 0.0, squares = 0.0, errors = 0.0;
  for (int i = 0; i < kRepetitions; ++i) {
    const auto found = vendi_score(normal_features(1000 + i, 150, 12) * spread + 0.5);
    sum += found.value;
    squares += found.value * found.value;
    errors += found.standard_error.value();
  }
  const double mean = sum / kRepetitions;
  const double deviation = std::sqrt((squares - sum * mean) / (kRepetitions - 1));
  // A deviation of 400 is known to 3.5 %.
  EXPECT_NEAR(errors / kRepetitions / deviation, 1.0, 0.12);
}

TEST(VendiScore, RefusesWhatHasNone) {
  const auto refused = [](const at::Tensor& features) {
    return message_of<core::DataError>([&] { vendi_score(features); });
  };
  EXPECT_THAT(refused(torch::ones({1, 3})), HasSubstr("a Vendi score needs at least 2 images"));
  EXPECT_THAT(refused(torch::tensor({1.0F, 0.0F}).unsqueeze(1)),
              HasSubstr("the features of image 1 are all 0"));
  EXPECT_THAT(refused(torch::full({2, 2}, std::numeric_limits<float>::quiet_NaN())),
              HasSubstr("the features hold NaN"));
}

TEST(Memorization, AgreesWithTorchmetrics) {
  for (const auto& json : golden()["cases"]) {
    const GoldenCase one(json);
    const double wanted = json["distance"];
    EXPECT_NEAR(nearest_cosine_distance(one.real, one.fake), wanted, 1e-12) << one.name;
  }
}

// Directions in the plane: cosines are those of the angles between them; an image and its negative point
// along one line, and one that is 0 is left out.
TEST(Memorization, OfAnglesByHand) {
  const auto at_angle = [](double degrees, double length = 1.0) {
    const double radians = degrees * std::acos(-1.0) / 180;
    return torch::tensor({length * std::cos(radians), length * std::sin(radians)}).to(at::kFloat);
  };
  const auto real = at::stack({at_angle(0, 3), at_angle(90, 0.1), torch::zeros({2})});
  const auto fake = at::stack({at_angle(20), at_angle(150, 40), at_angle(-80)});
  const auto distance = [](double degrees) { return 1 - std::cos(degrees * std::acos(-1.0) / 180); };
  EXPECT_NEAR(nearest_cosine_distance(real, fake), (distance(20) + distance(10)) / 2, 1e-7);
}

TEST(Memorization, OfCopiesIsNothing) {
  const auto real = normal_features(3, 300, 40);
  EXPECT_LT(nearest_cosine_distance(real, real), 1e-15);
  EXPECT_LT(nearest_cosine_distance(real, real * -7), 1e-15);
}

double nearest_slowly(const at::Tensor& real, const at::Tensor& fake) {
  const auto unit = [](const at::Tensor& rows) {
    const auto exact = rows.to(at::kDouble);
    return exact / exact.norm(2, {1}, true);
  };
  const auto cosines = at::mm(unit(real), unit(fake).t()).abs();
  return (1 - std::get<0>(cosines.max(1))).mean().item<double>();
}

// Beyond one block on both sides.
TEST(Memorization, EqualsThePlainLoopInFloat64) {
  const auto real = normal_features(4, 2500, 8) + 0.3, fake = normal_features(5, 2300, 8) + 0.3;
  EXPECT_NEAR(nearest_cosine_distance(real, fake), nearest_slowly(real, fake), 1e-15);
}

// Fake images that are nearly one: the float32 products of a row are equal to within their rounding.
TEST(Memorization, OfACollapsedSetEqualsThePlainLoopInFloat64) {
  const auto real = normal_features(7, 300, 64);
  const auto fake = normal_features(8, 1, 64) + 1e-4 * normal_features(9, 400, 64);
  EXPECT_NEAR(nearest_cosine_distance(real, fake), nearest_slowly(real, fake), 1e-14);
  const auto one = normal_features(8, 1, 64).repeat({400, 1});
  EXPECT_NEAR(nearest_cosine_distance(real, one), nearest_slowly(real, one), 1e-14);
}

TEST(Memorization, DividesOnlyBelowTheThreshold) {
  EXPECT_DOUBLE_EQ(memorization_informed_distance(12.0, 0.05), 12.0 / (0.05 + 1e-14));
  EXPECT_DOUBLE_EQ(memorization_informed_distance(12.0, 0.1), 12.0 / (1 + 1e-14));
  EXPECT_DOUBLE_EQ(memorization_informed_distance(12.0, 0.0), 12.0 / 1e-14);
  EXPECT_EQ(memorization_informed_distance(1e-8, 0.05), 0.0);
  EXPECT_EQ(memorization_informed_distance(-1e-10, 0.0), 0.0);
}

TEST(Memorization, RefusesWhatHasNone) {
  const auto one = torch::ones({2, 3});
  EXPECT_THAT(message_of<core::DataError>([&] {
                nearest_cosine_distance(one, torch::zeros({2, 3}));
              }),
              HasSubstr("the fake features are all 0"));
  EXPECT_THAT(message_of<core::DataError>([&] {
                nearest_cosine_distance(one, torch::ones({2, 4}));
              }),
              HasSubstr("the real side has 3 features and the fake side 4"));
  EXPECT_THAT(message_of<core::DataError>([&] {
                nearest_cosine_distance(one, torch::ones({0, 3}));
              }),
              HasSubstr("at least 1 images on each side"));
}

// The tool works in float32. Directions and subsets are those of PyTorch's generator.
TEST(MongeDistance, AgreesWithTorchFidelity) {
  const auto all = golden();
  for (const auto& json : all["cases"]) {
    const GoldenCase one(json);
    const double wanted = json["mind"];
    const auto found = monge_distance(one.real, one.fake, {all["projections"], all["seed"]});
    EXPECT_NEAR(found.value, wanted, 1e-5 * wanted) << one.name;
    EXPECT_EQ(found.count, std::min(one.real.size(0), one.fake.size(0))) << one.name;
  }
}

// A shift by delta along every axis moves a projection on u by delta (u_1 + ... + u_d), whose square is
// delta^2 on average: 3 d delta^2.
TEST(MongeDistance, OfAShift) {
  const auto real = normal_features(6, 200, 64);
  EXPECT_NEAR(monge_distance(real, real + 0.5, {4000, 1}).value, 3 * 64 * 0.25, 0.1 * 3 * 64 * 0.25);
  EXPECT_EQ(monge_distance(real, real).value, 0.0);
  EXPECT_EQ(monge_distance(real, real.narrow(0, 0, 120)).count, 120);
}

TEST(MongeDistance, RefusesBadInput) {
  const auto one = torch::ones({2, 3});
  EXPECT_THAT(message_of<core::UsageError>([&] {
                monge_distance(one, one, {0, 1});
              }),
              HasSubstr("at least 1 projection, not 0"));
  EXPECT_THAT(message_of<core::DataError>([&] {
                monge_distance(one, torch::ones({2, 4}));
              }),
              HasSubstr("the real side has 3 features"));
  EXPECT_THAT(message_of<core::DataError>([&] {
                monge_distance(one, torch::ones({0, 3}));
              }),
              HasSubstr("MIND needs at least 1 images"));
}

TEST(SlicedWassersteinApproximation, AgreesWithDgmEval) {
  for (const auto& json : golden()["cases"]) {
    const GoldenCase one(json);
    const double wanted = json["sw_approx"];
    EXPECT_NEAR(sliced_wasserstein_approximation(one.real, one.fake), wanted, 1e-12 * wanted) << one.name;
  }
}

// Two point masses at a distance of 5 in 4 dimensions; and one of them against a pair around it.
TEST(SlicedWassersteinApproximation, ByHand) {
  const auto zero = torch::zeros({3, 4}), point = torch::tensor({3.0F, 4.0F, 0.0F, 0.0F});
  EXPECT_DOUBLE_EQ(sliced_wasserstein_approximation(zero, point.repeat({2, 1})), 2.5);
  EXPECT_DOUBLE_EQ(sliced_wasserstein_approximation(zero, at::stack({point, -point})), 2.5);
}

}  // namespace
}  // namespace ddpm_eval::metrics
