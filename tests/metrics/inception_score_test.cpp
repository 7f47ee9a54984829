#include "metrics/inception_score.h"

#include "base/core/error.h"
#include "tests/support/errors.h"
#include "tests/support/inception_golden.h"
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
using testing::synthetic_features;

TEST(InceptionScore, IdenticalImagesScoreOne) {
  const auto score = inception_score(synthetic_features({1, 1}, 20).repeat({50, 1}));
  EXPECT_NEAR(score.mean, 1.0, 1e-12);
  EXPECT_NEAR(*score.std, 0.0, 1e-12);
  EXPECT_EQ(score.splits, 10);
  EXPECT_EQ(score.count, 50);
}

TEST(InceptionScore, PerfectlySeparatedBalancedClassesScoreTheirNumber) {
  const auto one_hot = torch::eye(8).repeat({20, 1}) * 1000.0F;
  EXPECT_NEAR(inception_score(one_hot, {4, std::nullopt}).mean, 8.0, 1e-12);
}

// p(y|x) = (a, 1 - a) and its mirror image: the marginal is (1/2, 1/2) and the score 2 exp(-H(a)).
TEST(InceptionScore, TwoClassesByHand) {
  const double a = 0.8;
  const auto logit = static_cast<float>(std::log(a / (1.0 - a)));
  const auto logits = torch::tensor({logit, 0.0F, 0.0F, logit}).view({2, 2}).repeat({5, 1});
  const double p = 1.0 / (1.0 + std::exp(-static_cast<double>(logit)));
  const double want = 2.0 * std::exp(p * std::log(p) + (1 - p) * std::log(1 - p));
  EXPECT_NEAR(inception_score(logits, {1, std::nullopt}).mean, want, 1e-12);
}

// Splits of 3 and 4 rows; the deviation is the population's.
TEST(InceptionScore, SplitEdgesAndDeviation) {
  const auto logits = torch::cat({torch::zeros({3, 2}), torch::eye(2).repeat({2, 1}) * 1000.0F});
  const auto score = inception_score(logits, {2, std::nullopt});
  EXPECT_NEAR(score.mean, 1.5, 1e-12);
  EXPECT_NEAR(*score.std, 0.5, 1e-12);
}

// Rows in the order of their class: every contiguous split sees one class and scores 1; shuffled they score
// higher.
TEST(InceptionScore, ShuffleUndoesTheOrderOfClasses) {
  const auto logits = torch::eye(10).repeat_interleave(50, 0) * 100.0F;
  EXPECT_NEAR(inception_score(logits, {10, std::nullopt}).mean, 1.0, 1e-12);
  EXPECT_GT(inception_score(logits, {10, 2020}).mean, 8.0);
}

TEST(InceptionScore, AgreesWithTorchFidelity) {
  std::ifstream file(testing::source_dir() / "tests/golden/frechet.json");
  const auto golden = nlohmann::json::parse(file);
  for (const auto& entry : golden["is"]) {
    const auto logits =
        synthetic_features({entry["seed"], entry["count"], 0.0, entry["scale"]}, entry["classes"]);
    const auto score = inception_score(logits, {entry["splits"], 2020});
    EXPECT_NEAR(score.mean, entry["mean"].get<double>(), 1e-10) << entry["name"];
    EXPECT_NEAR(*score.std, entry["std"].get<double>(), 1e-10) << entry["name"];
  }
}

// Rows that are read back from a file, block by block, for every rule of splitting and both kinds of softmax.
TEST(InceptionScore, OfRowsInAFileIsThatOfRowsInMemory) {
  const testing::TempDir folder;
  const auto logits = synthetic_features({3, 5000, 0.0, 2.0}, 7);
  data::RowStore stored(1000 * 7 * 4, folder.path());
  for (const auto& batch : logits.split(333)) {
    stored.add(batch);
  }
  for (const auto& preset : presets()) {
    if (preset.inception_score) {
      const auto whole = inception_score(logits, *preset.inception_score);
      const auto parts = inception_score(stored, *preset.inception_score);
      EXPECT_EQ(whole.mean, parts.mean) << preset.name;
      EXPECT_EQ(whole.std, parts.std) << preset.name;
      EXPECT_EQ(whole.count, parts.count) << preset.name;
    }
  }
}

// Seven rows: one split of each class scores 1, of both classes 2.
TEST(InceptionScore, SplitsAsTheRuleSays) {
  const auto a = torch::eye(2).narrow(0, 0, 1) * 1000.0F, b = torch::eye(2).narrow(0, 1, 1) * 1000.0F;
  const auto logits = torch::cat({a, a, a, b, b, b, a});
  const auto by = [&](InceptionScoreRule rule) {
    rule.shuffle_seed = std::nullopt;
    return inception_score(logits, rule);
  };
  const auto dropped = by({.splits = 3, .splitting = Splitting::kDropRest});  // aa, ab, bb
  EXPECT_NEAR(dropped.mean, 4.0 / 3, 1e-12);
  EXPECT_EQ(dropped.count, 6);
  const auto ceil = by({.splits = 3, .splitting = Splitting::kCeil});  // aaa, bbb, a
  EXPECT_NEAR(ceil.mean, 1.0, 1e-12);
  EXPECT_EQ(ceil.splits, 3);
  const auto fewer = by({.splits = 5, .splitting = Splitting::kCeil});  // aa, ab, bb, a
  EXPECT_NEAR(fewer.mean, 1.25, 1e-12);
  EXPECT_EQ(fewer.splits, 4);
  EXPECT_EQ(fewer.count, 7);
  const auto chunks = by({.splits = 4, .splitting = Splitting::kChunks});  // aaab, bba
  EXPECT_EQ(chunks.splits, 2);
  EXPECT_EQ(by({.splits = 5000, .splitting = Splitting::kChunks}).splits, 1);
  EXPECT_EQ(fewest_images({.splits = 5000, .splitting = Splitting::kChunks}), 1);
}

TEST(InceptionScore, TheDeviationDividesAsTheRuleSays) {
  const auto logits = torch::cat({torch::zeros({3, 2}), torch::eye(2).repeat({2, 1}) * 1000.0F});
  const auto deviation = [&](int64_t splits, std::optional<int> ddof) {
    return inception_score(logits, {.splits = splits, .shuffle_seed = std::nullopt, .ddof = ddof}).std;
  };
  EXPECT_NEAR(*deviation(2, 1), std::sqrt(0.5), 1e-12);
  EXPECT_EQ(deviation(2, std::nullopt), std::nullopt);
  EXPECT_EQ(deviation(1, 1), std::nullopt) << "of one split";
  EXPECT_EQ(deviation(1, 0), 0.0);
}

// A class of which a float32 softmax makes 0 where a float64 one does not.
TEST(InceptionScore, ProbabilitiesThatUnderflowCountAsNothing) {
  const auto logits = torch::eye(4).repeat({5, 1}) * 500.0F;
  const InceptionScoreRule rule{.splits = 1, .shuffle_seed = std::nullopt, .softmax = Softmax::kFloat32};
  EXPECT_NEAR(inception_score(logits, rule).mean, 4.0, 1e-12);
}

TEST(InceptionScore, AgreesWithTheOtherTools) {
  const auto golden = testing::presets_golden()["inception_score"];
  for (const auto& entry : golden["cases"]) {
    const auto logits =
        synthetic_features({entry["seed"], entry["count"], 0.0, entry["scale"]}, entry["classes"]);
    for (const char* tool : {"adm", "torchmetrics", "pytorch-gan-metrics", "dgm-eval"}) {
      auto rule = *find_preset(tool).inception_score;
      if (rule.splitting == Splitting::kChunks) {
        rule.splits = golden["chunk"];
      }
      const auto score = inception_score(logits, rule);
      const auto& want = entry[tool];
      const auto label = std::string(tool) + ", " + entry["name"].get<std::string>();
      // The tools that go on in float32 lose the seventh digit.
      EXPECT_NEAR(score.mean, want["mean"].get<double>(), 1e-6 * score.mean) << label;
      ASSERT_EQ(score.std.has_value(), want.contains("std")) << label;
      if (score.std) {
        EXPECT_NEAR(*score.std, want["std"].get<double>(), 1e-6 * score.mean) << label;
      }
      EXPECT_EQ(score.splits, want.value("splits", score.splits)) << label;
    }
  }
}

TEST(InceptionScore, RefusesWhatHasNoScore) {
  EXPECT_THAT(message_of<core::DataError>([] {
                inception_score(torch::zeros({9, 4}));
              }),
              HasSubstr("9 images cannot be split 10 ways"));
  EXPECT_THAT(message_of<core::DataError>([] {
                inception_score(torch::zeros({0, 4}));
              }),
              HasSubstr("of 0 images"));
  const auto nan = torch::full({20, 4}, std::numeric_limits<float>::quiet_NaN());
  EXPECT_THAT(message_of<core::DataError>([&] { inception_score(nan); }), HasSubstr("NaN"));
  EXPECT_THAT(message_of<core::UsageError>([] {
                inception_score(torch::zeros({9, 4}), {0, {}});
              }),
              HasSubstr("at least 1 split"));
}

}  // namespace
}  // namespace ddpm_eval::metrics
