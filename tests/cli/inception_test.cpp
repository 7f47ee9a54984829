#include "base/data/npy.h"
#include "base/data/npz.h"
#include "base/data/sinks.h"
#include "tests/support/inception_golden.h"
#include "tests/support/program.h"
#include "tests/support/records.h"
#include "tests/support/synthetic_features.h"
#include "tests/support/synthetic_inception.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tensor_matchers.h"

#include <filesystem>
#include <fstream>

#include <ATen/core/Dict.h>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <torch/csrc/jit/serialization/pickle.h>
#include <torch/types.h>

// The FID Inception through the program: weights from a file that LibTorch wrote, images from a folder and an
// archive.
namespace ddpm_eval {
namespace {

namespace fs = std::filesystem;

using nlohmann::json;
using testing::error_line;
using ::testing::HasSubstr;
using testing::run_program;
using testing::TensorEq;

class SlowInceptionProgramTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = new testing::TempDir;
    c10::Dict<std::string, at::Tensor> state;
    for (const auto& [name, tensor] : testing::synthetic_inception_weights()) {
      state.insert(name, tensor);
    }
    const auto bytes = torch::jit::pickle_save(state);
    std::ofstream(path("weights.pth"), std::ios::binary)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    write_images("real.npz", "real");
    write_images("fake", "fake");
    write_mixed("real");
    write_mixed("fake");
  }

  static void TearDownTestSuite() {
    delete dir_;
    dir_ = nullptr;
  }

  static std::string path(const std::string& name) { return (*dir_ / name).string(); }

  static void write_images(const std::string& target, const std::string& set) {
    const bool npz = target.ends_with(".npz");
    const auto sink = npz ? data::make_npz_sink(path(target)) : data::make_png_folder_sink(path(target));
    sink->write(testing::synthetic_images(set, 12, 32, 32));
    sink->finish();
  }

  /// The images of presets.json, of all sizes.
  static void write_mixed(const std::string& side) {
    const auto sets = testing::presets_golden()["sets"];
    const auto sink = data::make_png_folder_sink(path("mixed-" + side));
    int64_t index = 0;
    for (const auto& size : sets["sizes"]) {
      sink->write(testing::synthetic_image("preset-" + side, index++, size[0], size[1], sets["noise"][side]));
    }
    sink->finish();
  }

  static std::vector<std::string> mixed_fid(const std::vector<std::string>& more) {
    std::vector<std::string> words = {"fid", "--real", path("mixed-real"), "--fake", path("mixed-fake")};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }

  static std::string refusal(std::vector<std::string> words, int exit_code = 2) {
    words.insert(words.end(), {"--weights", path("weights.pth")});
    const auto result = run_program(words);
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    return error_line(result);
  }

  static json record_of(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--weights", path("weights.pth")});
    return testing::record_of(arguments);
  }

  static inline testing::TempDir* dir_ = nullptr;
};

TEST_F(SlowInceptionProgramTest, FidOfAFolderAgainstAnArchiveIsOneRecord) {
  const auto record = record_of({"fid", "--real", path("real.npz"), "--fake", path("fake")});
  EXPECT_GT(record["metrics"]["frechet_inception_distance"].get<double>(), 0.0);
  EXPECT_EQ(record["features"]["name"], "inception-v3-fid");
  EXPECT_EQ(record["features"]["dim"], 2048);
  EXPECT_THAT(record["features"]["note"].get<std::string>(), HasSubstr("published"));
  EXPECT_EQ(record["real"]["count"], 12);
  EXPECT_EQ(record["resampler"], "tf1-bilinear");
  EXPECT_THAT(record["notes"].dump(), HasSubstr("torch-fidelity averages features in float32"));
  const auto other =
      record_of({"fid", "--real", path("real.npz"), "--fake", path("fake"), "--preset", "pytorch-fid"});
  EXPECT_EQ(other["resampler"], "half-pixel-bilinear");
}

TEST_F(SlowInceptionProgramTest, ExplainGivesTheScoresOfEachPreset) {
  const auto record = record_of({"explain", "--real", path("real.npz"), "--fake", path("fake"), "--presets",
                                 "torch-fidelity,edm,pytorch-fid,adm"});
  ASSERT_EQ(record["rows"].size(), 4U);
  for (const auto& row : record["rows"]) {
    const auto preset = row["preset"].get<std::string>();
    const bool has_score = preset != "pytorch-fid" && preset != "edm";
    const auto alone = record_of({has_score ? "score" : "fid", "--real", path("real.npz"), "--fake",
                                  path("fake"), "--preset", preset});
    EXPECT_EQ(row["metrics"], alone["metrics"]) << preset;
    EXPECT_EQ(row["resampler"], alone["resampler"]) << preset;
  }
  EXPECT_EQ(record["rows"][0]["differs_by"], json::array());
  EXPECT_THAT(record["rows"][2]["differs_by"].dump(),
              HasSubstr("resizes by half-pixel-bilinear instead of tf1-bilinear"));
  EXPECT_THAT(record["rows"][3]["differs_by"].dump(), HasSubstr("Inception Score of 5000 images a split"));
  EXPECT_EQ(record["real"]["count"], 12);
  const auto refused = run_program({"explain", "--real", path("real.npz"), "--fake", path("fake"),
                                    "--presets", "adm,clean", "--weights", path("weights.pth")});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(error_line(refused), HasSubstr("there is no preset 'clean'"));
}

TEST_F(SlowInceptionProgramTest, BFloat16TellsWhatItChanges) {
  const std::vector<std::string> fid = {"fid", "--real", path("real.npz"), "--fake", path("fake")};
  const auto exact = record_of(fid);
  EXPECT_EQ(exact["precision"], "float32 features, float64 moments");
  EXPECT_FALSE(exact.contains("precision_effect"));
  auto words = fid;
  words.insert(words.end(), {"--precision", "bf16"});
  const auto rounded = record_of(words);
  EXPECT_EQ(rounded["precision"], "bf16 features, float64 moments");
  EXPECT_EQ(rounded["features"]["precision"], "bf16");
  // All images are in the control here: it has both distances.
  const auto& effect = rounded["precision_effect"];
  EXPECT_EQ(effect["images"], (json{{"real", 12}, {"fake", 12}}));
  EXPECT_EQ(effect["frechet_distance"]["float32"], exact["metrics"]["frechet_inception_distance"]);
  EXPECT_EQ(effect["frechet_distance"]["rounded"], rounded["metrics"]["frechet_inception_distance"]);
  EXPECT_NE(effect["frechet_distance"]["rounded"], effect["frechet_distance"]["float32"]);
  EXPECT_GT(effect["feature_error"].get<double>(), 1e-4);
  EXPECT_LT(effect["feature_error"].get<double>(), 1e-2);
  EXPECT_THAT(rounded["notes"].dump(), HasSubstr("bf16: the features of the first images differ"));
  const auto scores = record_of({"is", "--fake", path("fake"), "--precision", "bf16"})["precision_effect"];
  EXPECT_EQ(scores["images"], (json{{"fake", 12}}));
  EXPECT_FALSE(scores.contains("frechet_distance"));
  const double one = scores["inception_score"]["rounded"], other = scores["inception_score"]["float32"];
  EXPECT_NE(one, other);
  EXPECT_NEAR(one, other, 0.02 * other);
}

TEST_F(SlowInceptionProgramTest, StatisticsOfAnotherPrecisionAreNotComparable) {
  const auto made =
      record_of({"stats", "--data", path("real.npz"), "--out", path("bf16.npz"), "--precision", "bf16"});
  EXPECT_EQ(made["precision_effect"]["images"], (json{{"fake", 12}}));
  EXPECT_GT(made["precision_effect"]["feature_error"].get<double>(), 1e-4);
  const auto followed = record_of({"fid", "--real", path("bf16.npz"), "--fake", path("fake")});
  EXPECT_EQ(followed["features"]["precision"], "bf16") << "what was left open is the statistics'";
  EXPECT_EQ(followed["precision_effect"]["images"], (json{{"fake", 12}}));
  const auto refused = run_program({"fid", "--real", path("bf16.npz"), "--fake", path("fake"), "--weights",
                                    path("weights.pth"), "--precision", "float32"});
  EXPECT_EQ(refused.exit_code, 6) << refused.err;
  EXPECT_THAT(error_line(refused), HasSubstr("precision of the features differs: real bf16, fake float32"));
}

TEST_F(SlowInceptionProgramTest, OtherWordsForAPrecisionAreRefused) {
  const auto refused = [&](const std::vector<std::string>& words) {
    const auto result = run_program(words);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    return error_line(result);
  };
  EXPECT_THAT(refused({"fid", "--real", path("real.npz"), "--fake", path("fake"), "--weights",
                       path("weights.pth"), "--precision", "fp16"}),
              HasSubstr("--precision: 'fp16' is neither float32 nor bf16"));
  EXPECT_THAT(refused({"score", "--real", "swiss-roll?num=100", "--fake", "swiss-roll?num=100&seed=1",
                       "--precision", "bf16"}),
              HasSubstr("points take no --yardstick, --features, --weights, --preset or --precision"));
  EXPECT_THAT(refused({"fid", "--real", path("real.npz"), "--fake", path("fake"), "--features",
                       "fashion-mnist-small", "--precision", "bf16"}),
              HasSubstr("--precision bf16: only the FID Inception has it"));
}

TEST_F(SlowInceptionProgramTest, StatisticsOfAnotherPresetAreNotComparable) {
  record_of({"stats", "--data", path("real.npz"), "--out", path("a.npz")});
  record_of({"stats", "--data", path("real.npz"), "--out", path("b.npz"), "--preset", "pytorch-fid"});
  const auto refused = run_program({"fid", "--real", path("a.npz"), "--fake", path("b.npz")});
  EXPECT_EQ(refused.exit_code, 6) << refused.err;
  EXPECT_THAT(error_line(refused),
              HasSubstr("preset of the features differs: real torch-fidelity, fake pytorch-fid"));
  const auto forced =
      run_program({"fid", "--real", path("a.npz"), "--fake", path("b.npz"), "--allow-mismatch"});
  EXPECT_EQ(forced.exit_code, 0) << forced.err;
  const auto same = run_program({"fid", "--real", path("a.npz"), "--fake", path("a.npz")});
  EXPECT_EQ(same.exit_code, 0) << same.err;
  EXPECT_THAT(same.out, HasSubstr("frechet_inception_distance"));
}

TEST_F(SlowInceptionProgramTest, PresetsScoreImagesOfMixedSizesAsTheirTools) {
  const auto wanted = testing::presets_golden()["sets"]["distances"];
  for (const char* preset : {"clean-fid", "torchmetrics"}) {
    const auto record = record_of(mixed_fid({"--preset", preset}));
    const double distance = record["metrics"]["frechet_inception_distance"];
    EXPECT_NEAR(distance, wanted[preset]["2048"].get<double>(), 1e-5 * distance) << preset;
    EXPECT_EQ(record["preset"], preset);
  }
  const auto record = record_of(mixed_fid({"--preset", "clean-fid"}));
  EXPECT_EQ(record["resampler"], "pillow-bicubic");
  EXPECT_THAT(record["notes"].dump(), HasSubstr("clean-fid averages features in float32"));
  EXPECT_THAT(refusal({"is", "--fake", path("fake"), "--preset", "clean-fid"}),
              HasSubstr("'clean-fid' has no inception_score"));
  EXPECT_THAT(refusal({"is", "--fake", path("fake"), "--preset", "cleanfid"}),
              HasSubstr("did you mean 'clean-fid'?"));
}

TEST_F(SlowInceptionProgramTest, LowerLayersHaveNamesOfTheirOwn) {
  const auto spatial = record_of(mixed_fid({"--preset", "adm", "--features", "inception:spatial"}));
  const double wanted = testing::presets_golden()["sets"]["distances"]["adm"]["spatial"];
  EXPECT_NEAR(spatial["metrics"]["spatial_frechet_inception_distance"].get<double>(), wanted, 1e-5 * wanted);
  EXPECT_EQ(spatial["metrics"].size(), 1u);
  EXPECT_EQ(spatial["features"]["name"], "inception-v3-fid/spatial");
  EXPECT_EQ(spatial["features"]["dim"], 2023);
  const auto first = record_of(mixed_fid({"--features", "inception:64", "--precision", "bf16"}));
  EXPECT_GT(first["metrics"]["frechet_distance"].get<double>(), 0.0);
  EXPECT_EQ(first["features"]["name"], "inception-v3-fid/64");
  EXPECT_EQ(first["precision_effect"]["images"]["real"], 8);
}

/// One pass gives both distances, as two would.
TEST_F(SlowInceptionProgramTest, SpatialDistancesComeBesideOthers) {
  const auto score = [&](const std::string& real, const std::string& metrics) {
    return record_of({"score", "--real", path(real), "--fake", path("mixed-fake"), "--preset", "adm",
                      "--metrics", metrics});
  };
  const auto both = score("mixed-real", "fid,sfid");
  EXPECT_EQ(both["metrics"].size(), 2u);
  const auto wanted = testing::presets_golden()["sets"]["distances"]["adm"];
  const double spatial = wanted["spatial"], pooled = wanted["2048"];
  EXPECT_NEAR(both["metrics"]["spatial_frechet_inception_distance"].get<double>(), spatial, 1e-5 * spatial);
  EXPECT_NEAR(both["metrics"]["frechet_inception_distance"].get<double>(), pooled, 1e-5 * pooled);
  EXPECT_EQ(both["parts"]["spatial_frechet"]["route"], both["parts"]["frechet"]["route"]);
  // Of fewer images than features, the bias of one of them alone.
  EXPECT_GT(both["parts"]["frechet"]["bias_of_few"], 0.0);
  EXPECT_EQ(both["parts"]["spatial_frechet"].size() + 1, both["parts"]["frechet"].size());
  const auto alone = score("mixed-real", "sfid");
  EXPECT_EQ(alone["metrics"].size(), 1u);
  EXPECT_EQ(alone["metrics"]["spatial_frechet_inception_distance"],
            both["metrics"]["spatial_frechet_inception_distance"]);

  // Of files of both kinds, against images and against each other.
  record_of({"stats", "--data", path("mixed-real"), "--out", path("pooled.npz"), "--preset", "adm"});
  record_of({"stats", "--data", path("mixed-real"), "--out", path("spatial.npz"), "--preset", "adm",
             "--features", "inception:spatial"});
  record_of(
      {"stats", "--data", path("mixed-real"), "--out", path("adm.npz"), "--preset", "adm", "--spatial"});
  const data::NpzReader pooled_file(path("pooled.npz")), spatial_file(path("spatial.npz")),
      file(path("adm.npz"));
  EXPECT_THAT(file.read("mu"), TensorEq(pooled_file.read("mu")));
  EXPECT_THAT(file.read("sigma"), TensorEq(pooled_file.read("sigma")));
  EXPECT_THAT(file.read("mu_s"), TensorEq(spatial_file.read("mu")));
  EXPECT_THAT(file.read("sigma_s"), TensorEq(spatial_file.read("sigma")));
  // Without its count, a distance of statistics is computed another way.
  const auto followed = score("adm.npz", "fid,sfid")["metrics"];
  for (const auto& [key, value] : both["metrics"].items()) {
    EXPECT_NEAR(followed[key].get<double>(), value.get<double>(), 1e-6 * value.get<double>()) << key;
  }
  const auto itself = testing::record_of(  // without weights, which nothing needs
      {"score", "--real", path("adm.npz"), "--fake", path("adm.npz"), "--metrics", "fid,sfid"})["metrics"];
  EXPECT_LT(itself["spatial_frechet_inception_distance"].get<double>(), 1e-6 * spatial);

  const auto refused = [&](const std::string& real, std::vector<std::string> more) {
    more.insert(more.begin(),
                {"score", "--real", path(real), "--fake", path("mixed-fake"), "--metrics", "sfid"});
    return refusal(more);
  };
  EXPECT_THAT(refused("pooled.npz", {}),
              HasSubstr("holds no statistics of spatial features (mu_s and sigma_s"));
  EXPECT_THAT(refused("mixed-real", {"--features", "inception:spatial"}), HasSubstr("sfid is what fid is"));
  EXPECT_THAT(
      refused("mixed-real", {"--features", "inception:192"}),
      HasSubstr(
          "--metrics sfid: only the FID Inception has spatial features beside its own, and --features is "
          "'inception:192'; use --features inception"));
}

TEST_F(SlowInceptionProgramTest, StatisticsKeepTheirLayer) {
  record_of({"stats", "--data", path("real.npz"), "--out", path("192.npz"), "--features", "inception:192"});
  const auto followed = record_of({"fid", "--real", path("192.npz"), "--fake", path("fake")});
  EXPECT_EQ(followed["features"]["name"], "inception-v3-fid/192");
  const auto other =
      refusal({"fid", "--real", path("192.npz"), "--fake", path("fake"), "--features", "inception:64"}, 6);
  EXPECT_THAT(other,
              HasSubstr("name of the features differs: real inception-v3-fid/192, fake inception-v3-fid/64"));
  EXPECT_THAT(refusal({"score", "--real", path("192.npz"), "--fake", path("fake")}),
              HasSubstr("--features inception:192: an Inception Score needs the classifier"));
}

TEST_F(SlowInceptionProgramTest, SpatialStatisticsAreFoundInAdmsFiles) {
  const std::vector<std::string> spatial = {"--preset", "adm", "--features", "inception:spatial"};
  const auto distance = [&](const std::string& real) {
    auto words = spatial;
    words.insert(words.begin(), {"fid", "--real", path(real), "--fake", path("fake")});
    return record_of(words)["metrics"]["spatial_frechet_inception_distance"].get<double>();
  };
  auto stats = spatial;
  stats.insert(stats.begin(), {"stats", "--data", path("real.npz"), "--out", path("spatial.npz")});
  record_of(stats);
  const data::NpzReader own(path("spatial.npz"));
  data::write_npz(path("adm.npz"), {{"mu", torch::zeros({2048})},
                                    {"sigma", torch::eye(2048)},
                                    {"mu_s", own.read("mu")},
                                    {"sigma_s", own.read("sigma")}});
  EXPECT_EQ(distance("adm.npz"), distance("spatial.npz"));
}

TEST_F(SlowInceptionProgramTest, LayersThatAreNotThereAreRefused) {
  EXPECT_THAT(refusal(mixed_fid({"--features", "inception:2048"})),
              HasSubstr("--features inception:2048: these are inception itself"));
  EXPECT_THAT(refusal(mixed_fid({"--features", "inception:7"})),
              HasSubstr("choose inception, inception:64, inception:192, inception:768 or inception:spatial"));
  EXPECT_THAT(refusal(mixed_fid({"--features", "inception:spacial"})),
              HasSubstr("did you mean 'inception:spatial'?"));
  EXPECT_THAT(
      refusal({"is", "--fake", path("fake"), "--features", "inception:768"}),
      HasSubstr("--features inception:768: an Inception Score needs the classifier, which is above this "
                "layer; use --features inception"));
}

TEST_F(SlowInceptionProgramTest, InceptionScoresAreSplitAsThePresetSays) {
  const auto adm = record_of({"is", "--fake", path("fake"), "--preset", "adm"});
  EXPECT_GT(adm["metrics"]["inception_score_mean"].get<double>(), 1.0);
  EXPECT_FALSE(adm["metrics"].contains("inception_score_std")) << "ADM gives none";
  EXPECT_EQ(adm["parts"]["inception_score"]["splits"], 1);
  EXPECT_EQ(adm["parts"]["inception_score"]["order"], "given");
  EXPECT_THAT(adm["parts"]["inception_score"]["estimator"], HasSubstr("plug-in, biased downwards"));
  EXPECT_THAT(adm["notes"].dump(), HasSubstr("images for 1008 classes, and the score reads too low"));
  const auto metrics = record_of({"is", "--fake", path("fake"), "--preset", "torchmetrics"});
  EXPECT_EQ(metrics["parts"]["inception_score"]["splits"], 6) << "chunks of two";
  const auto plain =
      run_program({"is", "--fake", path("fake"), "--preset", "adm", "--weights", path("weights.pth")});
  EXPECT_THAT(plain.out, HasSubstr("inception_score_mean"));
}

/// The Inception Score is of the fake side alone, and its name as well.
TEST_F(SlowInceptionProgramTest, AnUnknownRealSideLeavesTheInceptionScoreItsName) {
  std::ofstream(path("unknown.npy"), std::ios::binary)
      << data::to_npy(testing::synthetic_features({.seed = 3, .count = 15}, 2048));
  const auto metrics = record_of({"score", "--real", path("unknown.npy"), "--fake", path("fake"),
                                  "--features", "inception", "--metrics", "fid,is"})["metrics"];
  EXPECT_TRUE(metrics.contains("frechet_distance")) << metrics;
  EXPECT_EQ(metrics["inception_score_mean"],
            record_of({"is", "--fake", path("fake")})["metrics"]["inception_score_mean"]);
}

TEST_F(SlowInceptionProgramTest, InceptionScoreOfTooFewImagesNamesTheCounts) {
  const auto result =
      run_program({"is", "--fake", path("fake") + "?num=5", "--weights", path("weights.pth")});
  EXPECT_EQ(result.exit_code, 3) << result.err;
  EXPECT_THAT(error_line(result), HasSubstr("5"));
}

TEST_F(SlowInceptionProgramTest, WeightsWithATensorMissingNameIt) {
  c10::Dict<std::string, at::Tensor> state;
  for (const auto& [name, tensor] : testing::synthetic_inception_weights()) {
    if (name != "Mixed_7c.branch_pool.conv.weight") {
      state.insert(name, tensor);
    }
  }
  const auto bytes = torch::jit::pickle_save(state);
  std::ofstream(path("missing.pth"), std::ios::binary)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  const auto result = run_program(
      {"fid", "--real", path("real.npz"), "--fake", path("fake"), "--weights", path("missing.pth")});
  EXPECT_EQ(result.exit_code, 3) << result.err;
  EXPECT_THAT(error_line(result), HasSubstr("Mixed_7c.branch_pool.conv.weight"));
}

}  // namespace
}  // namespace ddpm_eval
