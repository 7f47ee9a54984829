#include "tests/support/program.h"
#include "tests/support/records.h"
#include "tests/support/temp_dir.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

// Intervals of scores and scores of infinitely many images, through the program: what they are is held by
// tests/metrics.
namespace ddpm_eval {
namespace {

using testing::error_line;
using ::testing::HasSubstr;
using testing::record_of;
using testing::run_program;

const std::string kReal = "gaussian-noise:28x28x1?num=600&seed=1";
const std::string kFake = "gaussian-noise:28x28x1?num=700&seed=2";
const std::string kFew = "gaussian-noise:28x28x1?num=100&seed=2";

std::vector<std::string> command(const std::string& name, const std::string& real, const std::string& fake,
                                 const std::vector<std::string>& flags) {
  std::vector<std::string> words = {
      name, "--real", real, "--fake", fake, "--features", "fashion-mnist-small"};
  words.insert(words.end(), flags.begin(), flags.end());
  return words;
}

TEST(IntervalProgram, OfFidAndInceptionScoreByEitherMethod) {
  for (const char* method : {"jackknife", "delta"}) {
    const auto record = record_of(command("score", kReal, kFake, {"--interval", method}));
    const double value = record["metrics"]["frechet_distance"];
    const auto& distance = record["uncertainty"]["frechet_distance"];
    EXPECT_EQ(distance["method"], method);
    EXPECT_EQ(distance["level"], 0.95);
    EXPECT_FALSE(distance["conditional_on_real"].get<bool>());
    EXPECT_LT(distance["at_count"]["low"].get<double>(), value);
    EXPECT_GT(distance["at_count"]["high"].get<double>(), value);
    EXPECT_GT(distance["bias"].get<double>(), 0.0) << "sets of one distribution have a distance above 0";
    EXPECT_EQ(distance.contains("withheld"), !distance.contains("at_infinity"));
    EXPECT_FALSE(method == std::string("delta") && distance.contains("at_infinity"));
    const auto& score = record["uncertainty"]["classifier_score_mean"];
    EXPECT_EQ(score["method"], "jackknife") << "which is all there is for it";
    EXPECT_GT(score["standard_error"].get<double>(), 0.0);
    EXPECT_EQ(record["metrics"], record_of(command("score", kReal, kFake, {}))["metrics"]);
  }
}

TEST(IntervalProgram, AgainstStatisticsIsConditionalOnThem) {
  const testing::TempDir dir;
  const auto stats = (dir / "s.npz").string();
  ASSERT_EQ(
      run_program({"stats", "--data", kReal, "--out", stats, "--features", "fashion-mnist-small"}).exit_code,
      0);
  const auto record = record_of({"fid", "--real", stats, "--fake", kFake, "--interval", "delta"});
  EXPECT_TRUE(record["uncertainty"]["frechet_distance"]["conditional_on_real"].get<bool>());
  const auto refused = run_program(
      {"fid", "--real", kReal, "--fake", stats, "--interval", "delta", "--features", "fashion-mnist-small"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(error_line(refused), HasSubstr("--fake " + stats + ": a statistics file has no images"));
}

TEST(IntervalProgram, OfASetAgainstItselfIsToldNotToHold) {
  const auto same = run_program(command("fid", kReal, kReal, {"--interval", "delta"}));
  EXPECT_EQ(same.exit_code, 0) << same.err;
  EXPECT_THAT(same.err, HasSubstr("note: both sides are the same images"));
  const auto other = run_program(command("fid", kReal, kFake, {"--interval", "delta"}));
  EXPECT_THAT(other.err, ::testing::Not(HasSubstr("the same images")));
}

TEST(IntervalProgram, IsWithheldWhereThereAreTooFewImages) {
  const auto result = run_program(command("fid", kReal, kFew, {"--interval", "jackknife"}));
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.err, HasSubstr("note: frechet_distance: no interval: "));
  EXPECT_THAT(result.out, ::testing::Not(HasSubstr("95 %")));
}

TEST(IntervalProgram, IsPrintedWithWhatItIsAbout) {
  const auto result = run_program(command("fid", kReal, kFake, {"--interval", "delta"}));
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, ::testing::ContainsRegex("  95 % +[0-9.e-]+ to [0-9.e-]+: .*600"));
}

TEST(IntervalProgram, InfinitelyManyImagesByALineThroughFewer) {
  const auto record =
      record_of(command("score", kReal, kFake, {"--metrics", "fid,fid-infinity,is-infinity"}));
  EXPECT_LT(record["metrics"]["frechet_distance_infinity"].get<double>(),
            record["metrics"]["frechet_distance"].get<double>());
  const auto& fit = record["parts"]["frechet_distance_infinity"];
  EXPECT_EQ(fit["sizes"].size(), fit["values"].size());
  EXPECT_EQ(fit["sizes"].back(), 700);
  const double distance = record["metrics"]["frechet_distance"];
  EXPECT_NEAR(fit["values"].back().get<double>(), distance, 1e-9 * distance) << "moments of another order";
  EXPECT_TRUE(record["metrics"].contains("classifier_score_infinity"));
  EXPECT_FALSE(record["metrics"].contains("classifier_score_mean"));
}

}  // namespace
}  // namespace ddpm_eval
