#include "tests/support/feature_files_fixture.h"
#include "tests/support/program.h"
#include "tests/support/records.h"
#include "tests/support/synthetic_features.h"

#include <cmath>
#include <fstream>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

// MIND, MiFID, Vendi score, other kernels and nearest images through the program, on files of features.
namespace ddpm_eval {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using testing::record_of;
using testing::run_program;

class FeatureScores : public testing::FeatureFilesFixture {
 protected:
  using FeatureFilesFixture::put;

  std::string put(const std::string& name, const json& spec, int64_t dim) const {
    return put(name, testing::synthetic_features({spec["seed"], spec["count"], spec["offset"].get<double>(),
                                                  spec["scale"].get<double>()},
                                                 dim));
  }

  static std::string refusal(const std::vector<std::string>& words) { return testing::refusal(words, 2); }

  std::string real_ =
      put("real.npy", testing::synthetic_features({.seed = 5, .count = 90, .offset = 0.5}, 8));
  std::string fake_ =
      put("fake.npy", testing::synthetic_features({.seed = 6, .count = 100, .offset = 0.6}, 8));
};

TEST_F(FeatureScores, AgreeWithTheToolsThatHaveThem) {
  std::ifstream file(testing::source_dir() / "tests/golden/feature_scores.json");
  const auto golden = json::parse(file);
  for (const auto& entry : golden["cases"]) {
    const int64_t dim = entry["dim"];
    const auto record =
        record_of({"score", "--real", put("one.npy", entry["real"], dim), "--fake",
                   put("other.npy", entry["fake"], dim), "--metrics", "mind,mifid,vendi,sliced-wasserstein"});
    const auto expect_near = [&](const char* metric, const char* of_tool, double error) {
      const double wanted = entry[of_tool];
      EXPECT_NEAR(record["metrics"].at(metric).get<double>(), wanted, error * wanted)
          << entry["name"] << ": " << metric;
    };
    expect_near("monge_distance", "mind", 1e-5);
    // The tool's general matrix root loses digits where there are fewer images than features.
    expect_near("memorization_informed_frechet_distance", "mifid", 1e-5);
    expect_near("vendi_score", "vendi", 1e-10);
    expect_near("sliced_wasserstein_approximation", "sw_approx", 1e-10);
    EXPECT_EQ(record["parts"]["memorization"]["below"], entry["distance"].get<double>() < 0.1);
    EXPECT_FALSE(record["metrics"].contains("frechet_distance")) << "which was not asked for";
    EXPECT_TRUE(record["parts"].contains("frechet")) << "which MiFID is made of";
  }
}

TEST_F(FeatureScores, MifidIsTheFrechetDistanceOverThatOfTheNearest) {
  const auto copies =
      put("copies.npy", testing::synthetic_features({.seed = 5, .count = 80, .offset = 0.5}, 8));
  const auto record = record_of({"score", "--real", real_, "--fake", copies, "--metrics", "fid,mifid"});
  const double nearest = record["parts"]["memorization"]["nearest_cosine_distance"];
  EXPECT_LT(nearest, 0.1);
  EXPECT_NEAR(record["metrics"]["memorization_informed_frechet_distance"].get<double>(),
              record["metrics"]["frechet_distance"].get<double>() / nearest,
              1e-6 * record["metrics"]["memorization_informed_frechet_distance"].get<double>());
}

TEST_F(FeatureScores, AVendiScoreAloneIsShownInTablesAndReports) {
  const auto json_file = (dir_ / "v.json").string();
  const auto table = run_program(
      {"score", "--fake", fake_, "--metrics", "vendi", "--table", "markdown", "--json", json_file});
  EXPECT_EQ(table.exit_code, 0) << table.err;
  EXPECT_THAT(table.out, HasSubstr("Vendi score"));
  const auto report = run_program({"report", json_file, "--out", (dir_ / "v.html").string()});
  EXPECT_EQ(report.exit_code, 0) << report.err;
}

const std::string kNoise = "gaussian-noise:28x28x1?num=40&seed=";
const std::vector<std::string> kSmallNet = {"--features", "fashion-mnist-small"};

TEST_F(FeatureScores, YardsticksAndRepeatsHaveThemToo) {
  const auto scored = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "score");
    words.insert(words.end(), kSmallNet.begin(), kSmallNet.end());
    return record_of(words);
  };
  const auto alone = [&](int seed) {
    return scored({"--fake", kNoise + std::to_string(seed), "--metrics", "vendi"})["metrics"]["vendi_score"]
        .get<double>();
  };
  const auto beside = scored({"--fake", kNoise + "2", "--yardstick", kNoise + "3", "--metrics", "vendi"});
  EXPECT_EQ(beside["metrics"]["vendi_score"], alone(2));
  EXPECT_EQ(beside["yardsticks"][0]["metrics"]["vendi_score"], alone(3));
  const auto shown = run_program({"score", "--fake", kNoise + "2", "--yardstick", kNoise + "3", "--metrics",
                                  "vendi", "--features", "fashion-mnist-small"});
  EXPECT_EQ(shown.exit_code, 0) << shown.err;
  EXPECT_THAT(shown.out, HasSubstr("yardstick " + kNoise + "3"));
  EXPECT_THAT(shown.out, ::testing::Not(HasSubstr("against")));
  const auto repeated = scored(
      {"--real", kNoise + "1", "--fake", kNoise + "2", "--repeats", "2", "--metrics", "vendi,mifid,mind"});
  EXPECT_DOUBLE_EQ(repeated["metrics"]["vendi_score"].get<double>(), (alone(2) + alone(3)) / 2);
  EXPECT_EQ(repeated["repeats"]["deviations"].size(), 3u);
}

TEST_F(FeatureScores, AreTheSameOnTwoProcesses) {
  const auto metrics = [](std::vector<std::string> words) {
    words.insert(words.begin(), {"score", "--real", kNoise + "1", "--fake", kNoise + "2", "--metrics",
                                 "vendi,mifid,mind,sliced-wasserstein", "--features", "fashion-mnist-small"});
    return record_of(words)["metrics"];
  };
  const auto one = metrics({}), two = metrics({"--procs", "2"});
  ASSERT_EQ(two.size(), one.size());
  for (const auto& [key, value] : one.items()) {
    EXPECT_NEAR(two[key].get<double>(), value.get<double>(), 1e-10 * std::abs(value.get<double>())) << key;
  }
}

TEST_F(FeatureScores, AVendiScoreTakesNoReference) {
  const auto record = record_of({"score", "--fake", fake_, "--metrics", "vendi", "--interval", "delta"});
  EXPECT_EQ(record["metrics"].size(), 1u);
  EXPECT_FALSE(record.contains("real"));
  const double score = record["metrics"]["vendi_score"];
  const auto& interval = record["uncertainty"]["vendi_score"]["at_count"];
  EXPECT_LT(interval["low"], score);
  EXPECT_GT(interval["high"], score);
  EXPECT_EQ(interval["estimand"], "the mean score of 100 images");
  EXPECT_THAT(record["notes"].dump(), HasSubstr("rises with the number of images, here 100 for 8 features"));
  const auto alike = record_of({"score", "--fake", put("alike.npy", torch::ones({50, 3})), "--metrics",
                                "vendi", "--interval", "delta"});
  EXPECT_NEAR(alike["metrics"]["vendi_score"].get<double>(), 1.0, 1e-12);
  EXPECT_THAT(alike["notes"].dump(), HasSubstr("no interval: no image tells another value than the others"));
  const auto beside = record_of({"score", "--real", real_, "--fake", fake_, "--metrics", "vendi,fid"});
  EXPECT_EQ(beside["metrics"]["vendi_score"], score);
  EXPECT_THAT(refusal({"score", "--real", real_, "--fake", fake_, "--metrics", "vendi"}),
              HasSubstr("--real " + real_ + ": the scores that are asked for have no reference"));
  EXPECT_THAT(refusal({"score", "--fake", fake_, "--metrics", "fid"}), HasSubstr("--real is required"));
  const auto few =
      record_of({"score", "--fake", fake_ + "?num=12", "--metrics", "vendi", "--interval", "delta"});
  EXPECT_FALSE(few.contains("uncertainty") && few["uncertainty"].contains("vendi_score"));
  EXPECT_THAT(few["notes"].dump(), HasSubstr("no interval: 12 images for 8 features"));
}

TEST_F(FeatureScores, NamesOfTheFidInceptionAreForItsFeatures) {
  const auto rows = [](uint64_t seed) {
    return testing::synthetic_features({.seed = seed, .count = 40, .offset = 0.5}, 2048);
  };
  const auto real = put_inception("real.safetensors", rows(3)),
             fake = put_inception("fake.safetensors", rows(4));
  const auto metrics = [&](const std::vector<std::string>& flags) {
    std::vector<std::string> words = {"score", "--real", real, "--fake", fake, "--kid-subset-size", "20"};
    words.insert(words.end(), flags.begin(), flags.end());
    return record_of(words)["metrics"];
  };
  const auto standard = metrics({"--metrics", "kid,mind,mifid,vendi"});
  for (const char* key :
       {"kernel_inception_distance", "kernel_inception_distance_mean", "monge_inception_distance",
        "memorization_informed_frechet_inception_distance", "vendi_score"}) {
    EXPECT_TRUE(standard.contains(key)) << key;
  }
  EXPECT_EQ(
      metrics({"--metrics", "kid", "--kid-degree", "3", "--kid-coef", "1"})["kernel_inception_distance"],
      standard["kernel_inception_distance"]);
  const auto other = metrics({"--metrics", "kid", "--kid-degree", "2"});
  EXPECT_TRUE(other.contains("kernel_distance"));
  EXPECT_FALSE(other.contains("kernel_inception_distance"));
}

TEST_F(FeatureScores, KernelsOtherThanThatOfKidAreNamed) {
  const auto kid = [&](std::vector<std::string> flags) {
    flags.insert(flags.begin(), {"kid", "--real", real_, "--fake", fake_, "--kid-subset-size", "40"});
    return record_of(flags);
  };
  const auto standard = kid({});
  EXPECT_EQ(standard["parts"]["kernel"]["kernel"], "(<x, y> / d + 1)^3");
  EXPECT_EQ(kid({"--kid-degree", "3", "--kid-gamma", "0.125"})["metrics"], standard["metrics"]);
  const auto linear = kid({"--kid-degree", "1", "--kid-gamma", "1", "--kid-coef", "0"});
  EXPECT_EQ(linear["parts"]["kernel"]["kernel"], "(1 <x, y> + 0)^1");
  EXPECT_EQ(kid({"--kid-kernel", "rbf", "--kid-sigma", "2"})["parts"]["kernel"]["kernel"],
            "exp(-|x - y|^2 / (2 2^2))");
  // Of values between 0 and 1, however narrow the kernel.
  const auto narrow = kid({"--kid-kernel", "rbf", "--kid-sigma", "1e-5"})["metrics"];
  EXPECT_LE(std::abs(narrow["kernel_distance_mean"].get<double>()), 2.0);
  EXPECT_LE(std::abs(narrow["kernel_distance"].get<double>()), 2.0);
  const auto shown =
      run_program({"kid", "--real", real_, "--fake", fake_, "--kid-subset-size", "40", "--kid-degree", "2"});
  EXPECT_THAT(shown.out, HasSubstr("(<x, y> / d + 1)^2\n"));
  const auto table = run_program({"kid", "--real", real_, "--fake", fake_, "--kid-subset-size", "40",
                                  "--kid-degree", "2", "--table", "csv"});
  EXPECT_THAT(table.out, HasSubstr("sd_over_samples,kernel\n"));
  EXPECT_THAT(table.out, HasSubstr(",\"(<x, y> / d + 1)^2\"\n"));
  EXPECT_THAT(refusal({"kid", "--real", real_, "--fake", fake_, "--kid-gamma", "0"}),
              HasSubstr("must not be 0"));
  EXPECT_THAT(refusal({"kid", "--real", real_, "--fake", fake_, "--kid-sigma", "2"}),
              HasSubstr("--kid-sigma: the polynomial kernel has none; choose the kernel with --kid-kernel"));
  EXPECT_THAT(refusal({"kid", "--real", real_, "--fake", fake_, "--kid-kernel", "rbf", "--kid-degree", "2"}),
              HasSubstr("--kid-degree: the rbf kernel has none"));
  EXPECT_THAT(refusal({"kid", "--real", real_, "--fake", fake_, "--kid-degree", "17"}),
              HasSubstr("the degree of a polynomial kernel must be 1 to 16, not 17"));
  EXPECT_THAT(refusal({"kid", "--real", real_, "--fake", fake_, "--kid-coef", "nan"}),
              HasSubstr("gamma and coef of a polynomial kernel must be finite"));
  EXPECT_THAT(refusal({"score", "--real", real_, "--fake", fake_, "--metrics", "fid", "--kid-degree", "2"}),
              HasSubstr("--kid-degree: is for kid"));
}

// A linear kernel's distance is that of the means: |m_real - m_fake|^2, here of unbiased estimates.
TEST_F(FeatureScores, ALinearKernelComparesMeans) {
  const auto real = torch::tensor({0.0F, 2.0F, 4.0F}).unsqueeze(1),
             fake = torch::tensor({5.0F, 7.0F}).unsqueeze(1);
  const auto record =
      record_of({"kid", "--real", put("r.npy", real), "--fake", put("f.npy", fake), "--kid-subset-size", "2",
                 "--kid-degree", "1", "--kid-gamma", "1", "--kid-coef", "0"});
  // Mean x x' over pairs of different images: (0 + 0 + 8) / 3, and 35; mean x y: 2 * 6.
  EXPECT_NEAR(record["metrics"]["kernel_distance"].get<double>(), 8.0 / 3 + 35 - 2 * 12, 1e-5);
}

TEST_F(FeatureScores, TheNearestImagesAreTold) {
  const auto real = torch::tensor({0.0F, 10.0F, 20.0F, 30.0F}).unsqueeze(1);
  const auto fake = torch::tensor({13.0F, 1.0F, 30.0F, 24.0F, 0.0F}).unsqueeze(1);
  const auto parts = record_of({"prdc", "--real", put("r.npy", real), "--fake", put("f.npy", fake),
                                "--neighbours", "1"})["parts"]["neighbours"];
  EXPECT_EQ(parts["copies"], 2);
  EXPECT_EQ(parts["nearest"], json({{"fake", 2}, {"real", 3}, {"distance", 0.0}}));
  ASSERT_EQ(parts["nearest_pairs"].size(), 5u);
  EXPECT_EQ(parts["nearest_pairs"][1], json({{"fake", 4}, {"real", 0}, {"distance", 0.0}}));
  EXPECT_EQ(parts["nearest_pairs"][4], json({{"fake", 3}, {"real", 2}, {"distance", 4.0}}));
  EXPECT_EQ(parts["nearest_distances"]["shares"], json({0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 1.0}));
  // Of 0, 0, 1, 3 and 4.
  EXPECT_EQ(parts["nearest_distances"]["quantiles"], json({0.0, 0.0, 0.0, 0.0, 1.0, 3.0, 4.0}));
}

TEST_F(FeatureScores, TheFitOfInfinitelyManyImagesIsShown) {
  const auto result = run_program({"score", "--real", real_, "--fake", fake_, "--metrics", "fid-infinity"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out,
              ::testing::ContainsRegex(
                  "  fit +-?[0-9.e-]+ [+-] [0-9.]+ / N through N = [0-9]+ to 100, [0-9]+ sizes, R\\^2 = "
                  "-?[0-9]\\.[0-9]+\n"));
}

}  // namespace
}  // namespace ddpm_eval
