#include "base/data/feature_file.h"

#include "base/data/npz.h"
#include "base/data/safetensors.h"
#include "base/data/statistics_file.h"
#include "tests/support/feature_files_fixture.h"
#include "tests/support/files.h"
#include "tests/support/program.h"
#include "tests/support/records.h"
#include "tests/support/synthetic_features.h"
#include "tests/support/temp_dir.h"

#include <fstream>
#include <limits>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

// Files of features as sides of a score, and the way out of the program: `stats --features-out`.
namespace ddpm_eval {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using testing::record_of;
using testing::refusal;
using testing::run_program;

const std::string kRealNoise = "gaussian-noise:28x28x1?num=260&seed=1";
const std::string kFakeNoise = "gaussian-noise:28x28x1?num=300&seed=2";

class FeatureFiles : public testing::FeatureFilesFixture {
 protected:
  /// The file that `stats --features-out` makes of noise.
  std::string written(const std::string& source, const std::string& name) const {
    record_of({"stats", "--data", source, "--features-out", path(name), "--features", "fashion-mnist-small"});
    return path(name);
  }
};

/// Every score of the features is that of the images, to the last bit.
TEST_F(FeatureFiles, WrittenFeaturesScoreAsTheirImages) {
  const std::vector<std::string> rest = {"--metrics", "fid,kid,prdc,fid-infinity", "--interval",
                                         "delta",     "--kid-subset-size",         "100"};
  const auto score = [&](const std::string& real, const std::string& fake, std::vector<std::string> more) {
    more.insert(more.begin(), {"score", "--real", real, "--fake", fake});
    more.insert(more.end(), rest.begin(), rest.end());
    return record_of(more);
  };
  const auto real = written(kRealNoise, "real.safetensors"), fake = written(kFakeNoise, "fake.safetensors");
  const auto images = score(kRealNoise, kFakeNoise, {"--features", "fashion-mnist-small"});
  const auto files = score(real, fake, {});
  EXPECT_EQ(files["metrics"], images["metrics"]);
  EXPECT_EQ(files["features"], images["features"]);
  EXPECT_EQ(files["real"]["kind"], "features");
  EXPECT_EQ(files["fake"]["count"], 300);
  EXPECT_EQ(files["uncertainty"]["frechet_distance"]["at_count"],
            images["uncertainty"]["frechet_distance"]["at_count"]);
  EXPECT_EQ(score(real, kFakeNoise, {})["metrics"], images["metrics"]) << "one side of either kind";
  const auto part = score(real, fake + "?first=50&num=250", {});
  EXPECT_EQ(part["fake"]["count"], 250);

  record_of({"stats", "--data", kRealNoise, "--out", path("real.npz"), "--features-out",
             path("two.safetensors"), "--features", "fashion-mnist-small"});
  EXPECT_EQ(record_of({"fid", "--real", path("real.npz"), "--fake", fake})["features"], images["features"]);
  EXPECT_EQ(record_of({"fid", "--real", path("two.safetensors"), "--fake", fake})["metrics"],
            record_of({"fid", "--real", real, "--fake", fake})["metrics"]);
}

/// As NumPy and SciPy have them of the same float64 arrays.
TEST_F(FeatureFiles, DistancesAgreeWithNumpyAndScipy) {
  std::ifstream file(testing::source_dir() / "tests/golden/features.json");
  const auto golden = json::parse(file);
  ASSERT_EQ(golden["cases"].size(), 2u);
  for (const auto& entry : golden["cases"]) {
    const auto side = [&](const char* name) {
      const auto& spec = entry[name];
      const auto rows = testing::synthetic_features(
          {spec["seed"], spec["count"], spec["offset"].get<double>(), spec["scale"].get<double>()},
          entry["dim"]);
      return put(name + std::string(".npy"), rows.to(at::kDouble));
    };
    const auto record = record_of(
        {"score", "--real", side("real"), "--fake", side("fake"), "--metrics", "fid,sliced-wasserstein"});
    const double frechet = entry["frechet"], sliced = entry["sliced_wasserstein_of_all"];
    EXPECT_NEAR(record["metrics"]["frechet_distance"].get<double>(), frechet, 1e-9 * frechet)
        << entry["name"];
    EXPECT_NEAR(record["metrics"]["sliced_wasserstein_distance"].get<double>(), sliced, 0.05 * sliced)
        << "along other directions: 1000 of the program's";
    EXPECT_EQ(record["parts"]["sliced_wasserstein"]["projections"], 1000);
  }
}

/// MIND, three times the number of features times the distance's square, reads 3 d delta^2 of a shift by
/// delta.
TEST_F(FeatureFiles, AShiftHasItsSlicedWassersteinDistance) {
  const auto rows = testing::synthetic_features({.seed = 5, .count = 50}, 24);
  const auto record = record_of({"score", "--real", put("real.npy", rows), "--fake",
                                 put("fake.npy", rows + 0.5), "--metrics", "sliced-wasserstein"});
  const double distance = record["metrics"]["sliced_wasserstein_distance"];
  EXPECT_NEAR(distance * distance, 0.25, 0.025);
  EXPECT_EQ(record["metrics"].size(), 2u) << "and what it is near to";
}

/// The FID Inception's width alone gives no right to its name, which only a file's own words do.
TEST_F(FeatureFiles, OnlyWhatIsSaidToBeTheFidInceptionsIsCalledFid) {
  const auto rows = testing::synthetic_features({.seed = 3, .count = 40, .offset = 0.5}, 2048);
  const auto others = testing::synthetic_features({.seed = 4, .count = 40, .offset = 0.6}, 2048);
  const auto real = put("real.npy", rows), fake = put("fake.npy", others);
  const auto metrics = [](const std::string& one, const std::string& other) {
    const auto record = record_of(
        {"score", "--real", one, "--fake", other, "--metrics", "fid,kid", "--kid-subset-size", "20"});
    EXPECT_EQ(record["metrics"].contains("kernel_inception_distance"),
              record["metrics"].contains("frechet_inception_distance"));
    return record["metrics"];
  };
  const auto unknown = metrics(real, fake);
  EXPECT_FALSE(unknown.contains("frechet_inception_distance"));
  const auto told =
      metrics(put_inception("real.safetensors", rows), put_inception("fake.safetensors", others));
  EXPECT_EQ(told["frechet_inception_distance"], unknown["frechet_distance"]);
  EXPECT_FALSE(metrics(put_inception("real.safetensors", rows), fake).contains("frechet_inception_distance"));
  const auto noted = run_program({"fid", "--real", real, "--fake", fake});
  EXPECT_THAT(noted.err, HasSubstr("does not say which network it was made with"));
}

TEST_F(FeatureFiles, AnyFloatOfAnyFileIsRead) {
  const auto rows = testing::synthetic_features({.seed = 5, .count = 50}, 8).to(at::kHalf);
  const auto fake = put("fake.npy", testing::synthetic_features({.seed = 6, .count = 60}, 8));
  const auto distance = [&](const std::string& real) {
    return record_of({"fid", "--real", real, "--fake", fake})["metrics"]["frechet_distance"];
  };
  const auto wanted = distance(put("half.npy", rows));
  EXPECT_EQ(distance(put("double.npy", rows.to(at::kDouble))), wanted);
  data::write_npz(dir_ / "reps.npz", {{"reps", rows.to(at::kFloat)}});
  EXPECT_EQ(distance(path("reps.npz")), wanted);
  data::write_safetensors(dir_ / "plain.safetensors", {{"x", rows}});
  EXPECT_EQ(distance(path("plain.safetensors")), wanted);
  const auto rounded = record_of(
      {"fid", "--real", put("third.npy", rows.to(at::kDouble) / 3), "--fake", fake})["real"]["notes"];
  EXPECT_THAT(rounded.dump(), HasSubstr("were rounded to float32"));
}

TEST_F(FeatureFiles, RulesOfAPresetServeWithoutANetwork) {
  const auto real = put("real.npy", testing::synthetic_features({.seed = 5, .count = 50}, 8));
  const auto fake = put("fake.npy", testing::synthetic_features({.seed = 6, .count = 60}, 8));
  const auto record = record_of({"prdc", "--real", real, "--fake", fake, "--preset", "dgm-eval"});
  EXPECT_EQ(record["parts"]["neighbours"]["k"], 5);
  EXPECT_EQ(record["parts"]["neighbours"]["rules"], "dgm-eval");
  EXPECT_EQ(record["preset"], "dgm-eval");
  EXPECT_THAT(refusal({"fid", "--real", real, "--fake", fake, "--preset", "dgm-eval"}, 2),
              HasSubstr("--preset dgm-eval: both sides are feature or statistics files"));
  EXPECT_THAT(refusal({"fid", "--real", real, "--fake", fake, "--features", "inception"}, 2),
              HasSubstr("--features inception: both sides are feature or statistics files"));
  EXPECT_THAT(refusal({"fid", "--real", real, "--fake", fake, "--trust-torchscript"}, 2),
              HasSubstr("--trust-torchscript: both sides are feature or statistics files"));
}

/// They are those of the images, and say so; of another program's features they say nothing.
TEST_F(FeatureFiles, StatisticsAreMadeOfThem) {
  const auto rows = written(kRealNoise, "rows.safetensors");
  record_of(
      {"stats", "--data", kRealNoise, "--features", "fashion-mnist-small", "--out", path("images.npz")});
  const auto record = record_of({"stats", "--data", rows, "--out", path("rows.npz")});
  EXPECT_EQ(record["features"]["name"], "fashion-mnist-small");
  EXPECT_EQ(record["count"], 260);
  EXPECT_EQ(record["data"]["kind"], "features");
  const auto of_images = data::read_statistics(path("images.npz"));
  const auto of_rows = data::read_statistics(path("rows.npz"));
  EXPECT_LE((of_rows.mu - of_images.mu).abs().max().item<double>(), 1e-12);
  EXPECT_LE((of_rows.sigma - of_images.sigma).abs().max().item<double>(), 1e-12);
  const auto score = record_of({"fid", "--real", path("rows.npz"), "--fake", kFakeNoise});
  EXPECT_EQ(score["features"], record["features"]);
  EXPECT_EQ(score["real"]["count"], 260);

  const auto foreign = put("foreign.npy", testing::synthetic_features({.seed = 5, .count = 50}, 8));
  EXPECT_TRUE(record_of({"stats", "--data", foreign, "--out", path("foreign.npz")})["features"].is_null());
  EXPECT_EQ(data::read_statistics(path("foreign.npz")).provenance_json, "");
  EXPECT_THAT(refusal({"stats", "--data", rows, "--out", path("a.npz"), "--preset", "clean-fid"}, 2),
              HasSubstr("--preset: is for images, and --data " + rows + " holds features"));
  EXPECT_THAT(refusal({"stats", "--data", rows, "--features-out", path("a.safetensors")}, 2),
              HasSubstr("--features-out: is for images"));
}

TEST_F(FeatureFiles, WhatCannotBeScoredIsRefused) {
  const auto rows = testing::synthetic_features({.seed = 5, .count = 50}, 8);
  const auto good = put("good.npy", rows);
  auto damaged = rows.clone();
  damaged[7][3] = std::numeric_limits<float>::quiet_NaN();
  const auto fid = [&](const std::string& fake, int exit_code) {
    return refusal({"fid", "--real", good, "--fake", fake}, exit_code);
  };
  EXPECT_THAT(fid(put("nan.npy", damaged), 3), HasSubstr("nan.npy: holds nan in row 7, column 3"));
  EXPECT_THAT(fid(put("long.npy", rows.to(at::kLong)), 3),
              HasSubstr("holds int64 [50, 8], where features are"));
  EXPECT_THAT(fid(put("cube.npy", rows.view({50, 2, 4})), 3), HasSubstr("features [n, d]"));
  EXPECT_THAT(fid(put("row.npy", rows.narrow(0, 0, 1)), 3),
              HasSubstr("row.npy: 1 row of features, at least 2 are needed"));
  EXPECT_THAT(fid(put("wide.npy", rows.view({25, 16})), 6),
              HasSubstr("good.npy holds rows of 8 features and --fake " + path("wide.npy") + " of 16"));
  EXPECT_THAT(refusal({"is", "--fake", good}, 2),
              HasSubstr("a file of features has no images to take an Inception Score of"));
  EXPECT_THAT(refusal({"score", "--real", good, "--fake", good}, 2),
              HasSubstr("Inception Score of; say which scores are wanted, as --metrics fid"));
  EXPECT_THAT(refusal({"score", "--real", good, "--fake", good, "--metrics", "sfid"}, 2),
              HasSubstr("holds features of one kind, and sfid needs the spatial ones"));
  EXPECT_THAT(refusal({"kid", "--real", good, "--fake", good}, 2),
              HasSubstr("has 50 images, but a subset takes at least 1000: set a smaller --kid-subset-size"));
  EXPECT_THAT(refusal({"fid", "--real", good, "--fake", kFakeNoise, "--features", "fashion-mnist-small"}, 2),
              HasSubstr("good.npy: rows of 8 features, but 'fashion-mnist-small' gives 128"));
  EXPECT_THAT(refusal({"stats", "--data", kRealNoise}, 2), HasSubstr("--out is required, or --features-out"));
  EXPECT_THAT(refusal({"stats", "--data", kRealNoise, "--features-out", path("f.npy")}, 2),
              HasSubstr("the name must end in .safetensors"));
  EXPECT_THAT(refusal({"explain", "--real", good, "--fake", good}, 2),
              HasSubstr("holds features, where images are needed"));
}

}  // namespace
}  // namespace ddpm_eval
