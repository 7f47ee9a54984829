#include "base/core/file_io.h"
#include "tests/support/program.h"
#include "tests/support/records.h"
#include "tests/support/run_fixture.h"

#include <cmath>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

// `score --repeats`: several samples by seeds that follow one another, each scored alone.
namespace ddpm_eval {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::error_line;
using ::testing::HasSubstr;
using testing::record_of;
using testing::run_program;

std::vector<std::string> noise_score(const std::string& fake, std::vector<std::string> flags = {}) {
  std::vector<std::string> words = {"score",
                                    "--real",
                                    "gaussian-noise:28x28x1?num=150&seed=90",
                                    "--fake",
                                    fake,
                                    "--features",
                                    "fashion-mnist-small"};
  words.insert(words.end(), flags.begin(), flags.end());
  return words;
}

/// Of the values of `key` over the samples.
void expect_mean_and_deviation(const json& record, const std::string& key) {
  const auto& repeats = record["repeats"];
  double mean = 0.0, squares = 0.0;
  const auto count = static_cast<double>(repeats["samples"].size());
  for (const auto& sample : repeats["samples"]) {
    mean += sample["metrics"][key].get<double>() / count;
  }
  for (const auto& sample : repeats["samples"]) {
    squares += std::pow(sample["metrics"][key].get<double>() - mean, 2);
  }
  EXPECT_NEAR(record["metrics"][key].get<double>(), mean, 1e-9 * std::abs(mean)) << key;
  const double deviation = std::sqrt(squares / (count - 1));
  EXPECT_NEAR(repeats["deviations"][key].get<double>(), deviation, 1e-6 * deviation) << key;
}

TEST(Repeats, EachSampleIsThatOfItsSeed) {
  const auto record = record_of(noise_score("gaussian-noise:28x28x1?num=120&seed=5", {"--repeats", "3"}));
  const auto& repeats = record["repeats"];
  EXPECT_EQ(repeats["count"], 3);
  ASSERT_EQ(repeats["samples"].size(), 3U);
  for (int i = 0; i < 3; ++i) {
    const auto& sample = repeats["samples"][i];
    const auto source = "gaussian-noise:28x28x1?num=120&seed=" + std::to_string(5 + i);
    EXPECT_EQ(sample["source"], source);
    EXPECT_EQ(sample["seed"], 5 + i);
    EXPECT_EQ(sample["count"], 120);
    EXPECT_EQ(sample["metrics"], record_of(noise_score(source))["metrics"]);
  }
  expect_mean_and_deviation(record, "frechet_distance");
  expect_mean_and_deviation(record, "classifier_score_mean");
  EXPECT_FALSE(record.contains("uncertainty")) << "a deviation over samples is no error of one score";
  EXPECT_EQ(record["fake"]["source"], "gaussian-noise:28x28x1?num=120&seed=5");
}

TEST(Repeats, ANoteOnEachOfThemIsThereOnce) {
  const auto record =
      record_of(noise_score("gaussian-noise:28x28x1?num=12&seed=5", {"--metrics", "fid", "--repeats", "3"}));
  EXPECT_THAT(record["notes"].get<std::vector<std::string>>(),
              ElementsAre(HasSubstr("fake: 12 images for 128 features"),
                          HasSubstr(", and likely more, is the bias of 12 images"),
                          HasSubstr("means over 3 samples")));
}

TEST(Repeats, OfPoints) {
  const auto record =
      record_of({"score", "--real", "moons?num=100&seed=9", "--fake", "moons?num=80", "--repeats", "4"});
  EXPECT_EQ(record["repeats"]["samples"][3]["seed"], 3);
  const auto alone = record_of({"score", "--real", "moons?num=100&seed=9", "--fake", "moons?num=80&seed=3"});
  EXPECT_EQ(record["repeats"]["samples"][3]["metrics"], alone["metrics"]);
  EXPECT_EQ(record["floor"], alone["floor"]);
  EXPECT_THAT(record["notes"].dump(), HasSubstr("means over 4 samples, of the seeds 0 to 3"));
  expect_mean_and_deviation(record, "sliced_wasserstein_distance");
  expect_mean_and_deviation(record, "squared_mmd");
}

TEST(Repeats, TheirPageTellsThatTheScoresAreMeans) {
  const testing::TempDir dir;
  const auto scored = run_program({"score", "--real", "moons?num=40&seed=9", "--fake", "moons?num=30",
                                   "--repeats", "2", "--json", (dir / "score.json").string()});
  ASSERT_EQ(scored.exit_code, 0) << scored.err;
  const auto page = run_program({"report", dir.path().string()});
  ASSERT_EQ(page.exit_code, 0) << page.err;
  EXPECT_THAT(core::read_text(dir / "index.html"),
              AllOf(HasSubstr("means over 2 samples, of the seeds 0 to 1"),
                    HasSubstr(", ± over 2 samples</th>"), HasSubstr(">samples</th>")));
}

TEST(Repeats, TheirTableHasTheirNumberAndDeviation) {
  const auto result = run_program({"score", "--real", "moons?num=40&seed=9", "--fake", "moons?num=30",
                                   "--repeats", "4", "--table", "csv"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto record =
      record_of({"score", "--real", "moons?num=40&seed=9", "--fake", "moons?num=30", "--repeats", "4"});
  EXPECT_THAT(result.out,
              HasSubstr(fmt::format(
                  "\nsamples,moons?num=30,30,moons?num=40&seed=9,40,,,energy_distance,{},,,,,,,,,4,{},\n",
                  record["metrics"]["energy_distance"].get<double>(),
                  record["repeats"]["deviations"]["energy_distance"].get<double>())));
}

TEST(Repeats, ArePrintedAsMeanAndDeviationOverSamples) {
  const auto result = run_program(
      {"score", "--real", "moons?num=100&seed=9", "--fake", "moons?num=80&seed=7", "--repeats", "2"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("means over 2 samples, seeds 7 to 8; their standard deviations:\n"));
  EXPECT_THAT(result.out, ::testing::Not(HasSubstr("+-")));
}

TEST(Repeats, AreRefusedWhereNothingCanBeDrawnAgain) {
  const auto refuse = [](const std::string& fake, std::vector<std::string> flags, const std::string& said) {
    const auto result = run_program(noise_score(fake, std::move(flags)));
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_THAT(error_line(result), HasSubstr(said));
  };
  const testing::TempDir dir;
  core::write_file(dir / "list.txt", "a.png\n");
  const auto list = "@" + (dir / "list.txt").string();
  refuse(list, {"--repeats", "5"}, "--repeats 5: --fake " + list + " cannot be made again from another seed");
  const std::string noise = "gaussian-noise:28x28x1?num=120";
  refuse(noise + "&seed=18446744073709551615", {"--repeats", "2"}, "beyond 64 bits");
  refuse(noise, {"--repeats", "2", "--interval", "delta"}, "an interval is of one sample's score");
  refuse(noise, {"--repeats", "1"}, "--repeats");
}

class RepeatsOfARun : public testing::RunFixture {};

TEST_F(RepeatsOfARun, AreItsSamples) {
  train("run", testing::kTinyImages);
  const auto source = "run:" + path("run") + "?num=20";
  const auto record = record_of(noise_score(source, {"--repeats", "2"}));
  EXPECT_EQ(record["repeats"]["samples"][1]["metrics"],
            record_of(noise_score(source + "&seed=1"))["metrics"]);
  EXPECT_EQ(record["fake"]["context"]["seed"], 0);
}

}  // namespace
}  // namespace ddpm_eval
