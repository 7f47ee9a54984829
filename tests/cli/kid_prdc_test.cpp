#include "tests/support/idx_files.h"
#include "tests/support/program.h"
#include "tests/support/records.h"
#include "tests/support/temp_dir.h"

#include <cmath>
#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

// Scores that compare images one by one, through the program, on noise and the built-in features: what holds
// them to the published tools is in tests/metrics.
namespace ddpm_eval {
namespace {

using nlohmann::json;
using testing::error_line;
using ::testing::HasSubstr;
using testing::record_of;
using testing::run_program;

const std::string kReal = "gaussian-noise:28x28x1?num=200&seed=1";
const std::string kLikeReal = "gaussian-noise:28x28x1?num=200&seed=2";

/// A set of 200 images that are no noise.
class PairScores : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = new testing::TempDir;
    testing::write_banded_digits(dir_->path(), "train", 200);
    other_ = "mnist:train@" + dir_->path().string();
  }
  static void TearDownTestSuite() {
    delete dir_;
    dir_ = nullptr;
  }
  static inline testing::TempDir* dir_ = nullptr;
  static inline std::string other_;
};

std::vector<std::string> command(const std::string& name, const std::string& fake,
                                 const std::vector<std::string>& flags = {}) {
  std::vector<std::string> words = {
      name, "--real", kReal, "--fake", fake, "--features", "fashion-mnist-small"};
  words.insert(words.end(), flags.begin(), flags.end());
  return words;
}

double number(const json& record, const char* metric) { return record["metrics"].at(metric).get<double>(); }

TEST_F(PairScores, KernelDistanceIsNothingForTheSameAndFarMoreThanItsErrorForOthers) {
  const auto same = record_of(command("kid", kLikeReal, {"--kid-subset-size", "50"}));
  const auto& error = same["uncertainty"]["kernel_distance"];
  EXPECT_LT(std::abs(number(same, "kernel_distance")), 4 * error["standard_error"].get<double>());
  EXPECT_EQ(same["parts"]["kernel"]["subsets"], 100);
  EXPECT_EQ(same["parts"]["kernel"]["subset_size"], 50);
  EXPECT_FALSE(same["metrics"].contains("frechet_distance"));
  EXPECT_FALSE(same["metrics"].contains("kernel_inception_distance"))
      << "these are not the FID Inception's features";
  const auto other = record_of(command("kid", other_, {"--kid-subset-size", "50", "--kid-subsets", "20"}));
  const double found = number(other, "kernel_distance");
  EXPECT_GT(found, 10 * other["uncertainty"]["kernel_distance"]["standard_error"].get<double>());
  EXPECT_NEAR(number(other, "kernel_distance_mean"), found, 0.2 * found);
  EXPECT_EQ(other["parts"]["kernel"]["subsets"], 20);
  EXPECT_EQ(other["parts"]["kernel"]["rules"], "torch-fidelity");
}

TEST_F(PairScores, TooFewImagesForASubsetAreToldBeforeTheWork) {
  const auto result = run_program(command("kid", other_));
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(error_line(result), HasSubstr("--real " + kReal +
                                            " has 200 images, but a subset takes at least "
                                            "1000: set a smaller --kid-subset-size"));
}

TEST_F(PairScores, ASetIsWithinItself) {
  const auto record = record_of(command("prdc", kReal));
  for (const char* metric : {"precision", "recall", "coverage", "f_score"}) {
    EXPECT_EQ(number(record, metric), 1.0) << metric;
  }
  EXPECT_EQ(record["parts"]["neighbours"]["k"], 3);
  EXPECT_EQ(record["parts"]["neighbours"]["radius"], "included");
}

TEST_F(PairScores, OtherImagesAreOutside) {
  const auto near = record_of(command("prdc", kLikeReal, {"--neighbours", "5"}));
  EXPECT_GT(number(near, "precision"), 0.5);
  EXPECT_EQ(near["parts"]["neighbours"]["k"], 5);
  const auto far = record_of(command("prdc", other_, {"--neighbours", "5"}));
  EXPECT_LT(number(far, "precision"), 0.1);
  EXPECT_LT(number(far, "density"), number(near, "density"));
}

TEST_F(PairScores, SeveralScoresFromOnePassAreThoseOfTheirCommands) {
  const auto all =
      record_of(command("score", other_, {"--metrics", "kid,fid,prdc,is", "--kid-subset-size", "50"}));
  json expected = json::object();
  expected.update(record_of(command("kid", other_, {"--kid-subset-size", "50"}))["metrics"]);
  expected.update(record_of(command("prdc", other_))["metrics"]);
  expected.update(record_of(command("score", other_))["metrics"]);
  EXPECT_EQ(all["metrics"], expected);
}

TEST_F(PairScores, PrintsStandardErrors) {
  const auto result = run_program(command("kid", other_, {"--kid-subset-size", "50"}));
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, ::testing::ContainsRegex(
                              "kernel_distance +[0-9.e-]+ \\+- [0-9.e-]+ \\(x 1000: [0-9.e-]+\\)\n"));
}

TEST_F(PairScores, IntervalsAreThoseOfTheirScores) {
  const auto prdc = record_of(command("prdc", kLikeReal));
  for (const char* key : {"precision", "recall", "density", "coverage", "authenticity"}) {
    EXPECT_GT(prdc["uncertainty"][key]["standard_error"], 0.0) << key;
    EXPECT_FALSE(prdc["uncertainty"][key].contains("at_count")) << key;
  }
  const auto all = record_of(command(
      "score", kLikeReal, {"--metrics", "kid,prdc", "--kid-subset-size", "50", "--interval", "delta"}));
  for (const char* key : {"precision", "recall", "density", "coverage", "authenticity"}) {
    const auto& one = all["uncertainty"][key];
    EXPECT_EQ(one["standard_error"], prdc["uncertainty"][key]["standard_error"]) << key;
    EXPECT_LE(one["at_count"]["low"], all["metrics"][key]) << key;
    EXPECT_GE(one["at_count"]["high"], all["metrics"][key]) << key;
    EXPECT_LT(one["at_count"]["low"], one["at_count"]["high"]) << key;
  }
  const auto& kernel = all["uncertainty"]["kernel_distance"];
  const double value = all["metrics"]["kernel_distance"], error = kernel["standard_error"];
  const double high = kernel["at_infinity"]["high"];
  EXPECT_GT((high - value) / error, 1.96);
  EXPECT_LT((high - value) / error, 2.1);
}

TEST_F(PairScores, SubsetsAreDrawnByTheirSeed) {
  const auto mean_by = [&](const std::vector<std::string>& words) {
    std::vector<std::string> all = {"--kid-subset-size", "50"};
    all.insert(all.end(), words.begin(), words.end());
    const auto record = record_of(command("kid", other_, all));
    EXPECT_EQ(record["parts"]["kernel"]["seed"], words.empty() ? 2020 : std::stoi(words[1]));
    return record["metrics"]["kernel_distance_mean"].get<double>();
  };
  EXPECT_EQ(mean_by({}), mean_by({"--kid-seed", "2020"}));
  EXPECT_NE(mean_by({}), mean_by({"--kid-seed", "7"}));
}

TEST_F(PairScores, WhatCannotBeScoredIsRefused) {
  const testing::TempDir dir;
  const auto refuse = [](const std::vector<std::string>& words, const std::string& message) {
    const auto result = run_program(words);
    EXPECT_EQ(result.exit_code, 2) << result.out;
    EXPECT_THAT(error_line(result), HasSubstr(message));
  };
  refuse(command("score", other_, {"--metrics", "fid,kld"}),
         "--metrics fid,kld: there is no score 'kld'; did you mean 'kid'?");
  refuse(command("score", other_, {"--metrics", "fid,"}),
         "--metrics fid,: a name is empty; separate them by single commas");
  refuse(command("score", other_, {"--metrics", "is"}),
         "the scores that are asked for have no reference; leave it out");
  refuse(command("prdc", other_, {"--neighbours", "200"}), "a neighbourhood takes at least 201");
  refuse({"score", "--real", "moons", "--fake", "moons", "--metrics", "fid"}, "points take no --metrics");
  refuse({"kid", "--real", kReal, "--fake", other_, "--preset", "pytorch-fid"},
         "use --preset torch-fidelity");
  const auto stats = (dir / "s.npz").string();
  ASSERT_EQ(
      run_program({"stats", "--data", kReal, "--out", stats, "--features", "fashion-mnist-small"}).exit_code,
      0);
  refuse({"kid", "--real", stats, "--fake", other_}, "--real " + stats + ": a statistics file has no images");
}

/// The lines of a text, each split at its commas.
std::vector<std::vector<std::string>> values_in(const std::string& csv) {
  std::vector<std::vector<std::string>> lines;
  std::istringstream text(csv);
  for (std::string line; std::getline(text, line);) {
    lines.emplace_back();
    std::istringstream values(line);
    for (std::string value; std::getline(values, value, ',');) {
      lines.back().push_back(value);
    }
  }
  return lines;
}

TEST_F(PairScores, TablesAreAllThatGoesToStandardOutput) {
  testing::TempDir dir;
  const auto file = (dir / "s.json").string();
  const auto csv =
      run_program(command("kid", other_, {"--kid-subset-size", "50", "--table", "csv", "--json", file}));
  EXPECT_EQ(csv.exit_code, 0) << csv.err;
  const auto record = json::parse(std::ifstream(file));
  const auto lines = values_in(csv.out);
  ASSERT_EQ(lines.size(), 3U);
  ASSERT_EQ(lines[0].at(7), "metric");
  EXPECT_EQ(lines[1].at(7), "kernel_distance_mean");
  EXPECT_EQ(std::stod(lines[1].at(8)), number(record, "kernel_distance_mean"));
  EXPECT_EQ(std::stod(lines[1].at(9)), number(record, "kernel_distance_std"));
  EXPECT_EQ(std::stod(lines[2].at(10)),
            record["uncertainty"]["kernel_distance"]["standard_error"].get<double>());
  EXPECT_EQ(lines[2].at(3), kReal);
  const auto markdown =
      run_program(command("kid", other_, {"--kid-subset-size", "50", "--table", "markdown"}));
  EXPECT_TRUE(
      markdown.out.starts_with("| images | N | against | N of these | kernel distance of subsets ↓, ± over "))
      << markdown.out;
  const auto latex = run_program(command("prdc", other_, {"--table", "latex"}));
  EXPECT_TRUE(latex.out.starts_with("% needs \\usepackage{booktabs}\n\\begin{tabular}{l")) << latex.out;
  EXPECT_TRUE(latex.out.ends_with("\\end{tabular}\n")) << latex.out;
  const auto refused = [](const std::vector<std::string>& words) {
    const auto result = run_program(words);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    return error_line(result);
  };
  EXPECT_THAT(refused(command("kid", other_, {"--table", "html"})),
              HasSubstr("--table: 'html' is neither markdown, csv nor latex"));
  EXPECT_THAT(refused(command("kid", other_, {"--table", "csv", "--json", "-"})),
              HasSubstr("--json -, --table: only one can go to standard output"));
}

TEST_F(PairScores, KernelDistancesAreShownTimes1000Too) {
  const auto words = command("kid", other_, {"--kid-subset-size", "50"});
  const double value = number(record_of(words), "kernel_distance");
  EXPECT_THAT(run_program(words).out, HasSubstr(fmt::format(" (x 1000: {:.4g})\n", 1000 * value)));
}

}  // namespace
}  // namespace ddpm_eval
