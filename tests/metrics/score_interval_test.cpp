#include "metrics/score_interval.h"

#include "base/core/error.h"
#include "base/data/row_store.h"
#include "base/tensor/noise.h"
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
using ::testing::IsEmpty;
using testing::message_of;
using testing::synthetic_features;

ScoreIntervalOptions one_split() { return {.score = {1, std::nullopt}}; }

// The logarithm of a score is a mean less a function of the mean prediction: its derivative in the direction
// of one image is KL(p(y|x) || p(y)) less the mean, and its bias - sum var p_k / (2 N p_k).
TEST(ScoreInterval, OfRowsInAFileIsThatOfRowsInMemory) {
  const auto logits = synthetic_features({7, 900, 0.0, 3.0}, 11);
  data::RowStore stored(1000);  // bytes, of 40 KB
  stored.add(logits);
  const auto in_memory = score_interval(logits), in_file = score_interval(stored);
  EXPECT_EQ(in_file.value, in_memory.value);
  EXPECT_EQ(in_file.deviation, in_memory.deviation);
  EXPECT_EQ(in_file.bias, in_memory.bias);
}

TEST(ScoreInterval, AgreesWithTheDeltaMethod) {
  const auto logits = synthetic_features({1, 6000, 0.0, 4.0}, 12);
  const auto log_p = logits.to(at::kDouble).log_softmax(1);
  const auto p = log_p.exp();
  const auto divergence = (p * (log_p - p.mean(0).log())).sum(1);
  const double score = std::exp(divergence.mean().item<double>());
  const double deviation = score * divergence.std().item<double>() / std::sqrt(6000.0);
  const double bias =
      score * (divergence.var().item<double>() - (p.var(0) / p.mean(0)).sum().item<double>()) / 12'000;
  const auto found = score_interval(logits, one_split());
  EXPECT_NEAR(found.value, score, 1e-10);
  EXPECT_NEAR(found.deviation, deviation, 0.4 * deviation);
  EXPECT_NEAR(found.bias, bias, 0.5 * std::abs(bias));
  EXPECT_LT(found.bias, 0.0);
  EXPECT_THAT(found.withheld, IsEmpty());
  EXPECT_EQ(found.method, "jackknife");
  EXPECT_EQ(found.groups, 20);
  ASSERT_TRUE(found.at_count && found.at_infinity);
  EXPECT_EQ(found.at_count->estimand, "the expected score of 6000 images");
  EXPECT_EQ(found.at_infinity->estimand, "the score of infinitely many images");
  EXPECT_EQ(found.at_infinity->centre, found.value - found.bias);
}

// Ten splits: the value is that of the tools, the bias that of a tenth of the images.
TEST(ScoreInterval, KnowsTheSplits) {
  const auto logits = synthetic_features({2, 5000, 0.0, 4.0}, 12);
  const auto one = score_interval(logits, one_split());
  const auto ten = score_interval(logits);
  EXPECT_EQ(ten.value, inception_score(logits).mean);
  EXPECT_THAT(ten.at_count->estimand, HasSubstr("5000 images in 10 splits"));
  EXPECT_NEAR(ten.bias / one.bias, 10.0, 5.0);
  EXPECT_NEAR(ten.deviation / one.deviation, 1.0, 0.5);
  EXPECT_NEAR(ten.at_infinity->centre, one.at_infinity->centre, one.deviation);
}

TEST(ScoreInterval, EqualImagesHaveNoSpread) {
  const auto found = score_interval(synthetic_features({3, 1}, 10).repeat({200, 1}), one_split());
  EXPECT_NEAR(found.value, 1.0, 1e-12);
  EXPECT_NEAR(found.deviation, 0.0, 1e-12);
  EXPECT_NEAR(found.bias, 0.0, 1e-12);
}

// Classes that single groups miss, and whose p(y|x) underflows to 0 elsewhere.
TEST(ScoreInterval, SurvivesPredictionsWithoutDoubt) {
  const auto logits = torch::eye(50).repeat_interleave(2, 0) * 1000.0F;
  const auto found = score_interval(logits, one_split());
  EXPECT_NEAR(found.value, 50.0, 1e-9);
  EXPECT_TRUE(std::isfinite(found.deviation) && std::isfinite(found.bias));
}

TEST(ScoreInterval, IsAFunctionOfTheSeed) {
  const auto logits = synthetic_features({4, 500, 0.0, 4.0}, 12);
  EXPECT_EQ(score_interval(logits, {.seed = 1}).deviation, score_interval(logits, {.seed = 1}).deviation);
  EXPECT_NE(score_interval(logits, {.seed = 1}).deviation, score_interval(logits, {.seed = 2}).deviation);
}

TEST(ScoreInterval, AgreesWithNumpy) {
  std::ifstream file(testing::source_dir() / "tests/golden/uncertainty.json");
  const auto golden = nlohmann::json::parse(file);
  for (const auto& entry : golden["score"]) {
    const auto rows =
        synthetic_features({entry["seed"], entry["count"], 0.0, entry["scale"]}, entry["classes"]);
    const auto logits = torch::empty_like(rows).index_copy_(
        0, tensor::permutation({6, "jackknife.groups"}, 0, rows.size(0)), rows);
    const auto found =
        score_interval(logits, {.score = {1, std::nullopt}, .groups = golden["groups"], .seed = 6});
    const auto& wanted = entry["jackknife"];
    EXPECT_NEAR(found.value, wanted["value"].get<double>(), 1e-10) << entry["name"];
    EXPECT_NEAR(found.bias, wanted["bias"].get<double>(), 1e-9) << entry["name"];
    EXPECT_NEAR(found.deviation, wanted["deviation"].get<double>(), 1e-9) << entry["name"];
  }
}

TEST(ScoreInterval, IsWithheldForFewImagesASplit) {
  const auto found = score_interval(synthetic_features({5, 399, 0.0, 4.0}, 12));
  EXPECT_THAT(found.withheld, HasSubstr("39 images a split: 20 groups of at least 2 images need 40"));
  EXPECT_FALSE(found.at_count || found.at_infinity);
  EXPECT_TRUE(std::isnan(found.deviation));
  EXPECT_TRUE(score_interval(synthetic_features({5, 400, 0.0, 4.0}, 12)).at_count);
}

TEST(ScoreInterval, RefusesWhatHasNone) {
  EXPECT_THAT(message_of<core::UsageError>([] {
                score_interval(torch::zeros({100, 4}), {.groups = 2});
              }),
              HasSubstr("at least 4 groups"));
  EXPECT_THAT(message_of<core::UsageError>([] {
                score_interval(torch::zeros({100, 4}), {.level = 0.0});
              }),
              HasSubstr("between 0 and 1"));
  const auto nan = torch::full({500, 4}, std::numeric_limits<float>::quiet_NaN());
  EXPECT_THAT(message_of<core::DataError>([&] { score_interval(nan); }), HasSubstr("NaN"));
}

}  // namespace
}  // namespace ddpm_eval::metrics
