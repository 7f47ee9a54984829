#include "base/core/file_io.h"
#include "base/data/npy.h"
#include "base/data/npz.h"
#include "base/data/points.h"
#include "base/data/sinks.h"
#include "base/data/statistics_file.h"
#include "base/data/zip_writer.h"
#include "tests/support/idx_files.h"
#include "tests/support/program.h"
#include "tests/support/records.h"
#include "tests/support/temp_dir.h"

#include <cmath>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <torch/types.h>

// Scores end to end, through the program, on noise and the built-in features: what holds them to the
// published tools is in tests/metrics.
namespace ddpm_eval {
namespace {

using nlohmann::json;
using testing::error_line;
using ::testing::HasSubstr;
using testing::record_of;
using testing::run_program;

const std::string kNoise = "gaussian-noise:28x28x1?num=200&seed=1";
const std::string kOtherNoise = "gaussian-noise:28x28x1?num=200&seed=2";

json fid(const std::string& real, const std::string& fake) {
  return record_of({"fid", "--real", real, "--fake", fake, "--features", "fashion-mnist-small"});
}

TEST(Score, ARecordCarriesItsContext) {
  const auto record = fid(kNoise, kOtherNoise);
  EXPECT_EQ(record["kind"], "score");
  EXPECT_GT(record["metrics"]["frechet_distance"].get<double>(), 0.0);
  EXPECT_FALSE(record["metrics"].contains("frechet_inception_distance"))
      << "these are not the FID Inception's features";
  EXPECT_EQ(record["real"]["source"], kNoise);
  EXPECT_EQ(record["real"]["count"], 200);
  EXPECT_EQ(record["fake"]["count"], 200);
  EXPECT_EQ(record["features"]["name"], "fashion-mnist-small");
  EXPECT_EQ(record["features"]["weights_sha256"].get<std::string>().size(), 64U);
  EXPECT_EQ(record["runtime"]["threads"], 1);
  EXPECT_EQ(record["preset"], record["features"]["preset"]) << "the one that was applied";
}

TEST(Score, ARecordKeepsPartAndFolderOfASet) {
  const testing::TempDir dir;
  testing::write_banded_digits(dir.path(), "train", 40);
  const auto folder = dir.path().string();
  const auto part = "mnist:train@" + folder + "?first=8&num=20";
  const auto record = fid(part, "mnist@" + folder + "?num=20");
  EXPECT_EQ(record["real"]["source"], part);
  EXPECT_FALSE(record["real"].contains("resolved"));
  EXPECT_EQ(record["real"]["count"], 20);
  EXPECT_EQ(record["fake"]["source"], "mnist@" + folder + "?num=20");
  EXPECT_EQ(record["fake"]["resolved"], "mnist:train@" + folder + "?num=20");
  const auto printed =
      run_program({"fid", "--real", part, "--fake", part, "--features", "fashion-mnist-small"});
  EXPECT_THAT(printed.out, HasSubstr(part + ", N = 20"));
}

TEST(Score, AZipOfImagesIsScoredAsItsFolder) {
  const testing::TempDir dir;
  const auto folder = (dir / "images").string();
  const auto sink = data::make_png_folder_sink(folder);
  sink->write(torch::randint(0, 256, {20, 3, 28, 28}, torch::kUInt8));
  sink->finish();
  data::ZipWriter zip(dir / "images.zip");
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    zip.add("any/" + entry.path().filename().string(), core::read_text(entry.path()));
  }
  zip.commit();
  const auto archive = (dir / "images.zip").string();
  const auto record = fid(kNoise, archive);
  EXPECT_EQ(record["metrics"], fid(kNoise, folder)["metrics"]);
  EXPECT_EQ(record["fake"]["count"], 20);
  const auto refused = run_program(
      {"fid", "--real", kNoise, "--fake", archive, "--features", "fashion-mnist-small", "--json", archive});
  EXPECT_EQ(refused.exit_code, 2) << "the record would replace what is scored";
}

TEST(Score, ASetAgainstItselfIsZeroAndSidesMaySwap) {
  const auto self = fid(kNoise, kNoise);
  const double trace = self["parts"]["frechet"]["trace_real"].get<double>();
  EXPECT_NEAR(self["metrics"]["frechet_distance"].get<double>(), 0.0, 1e-9 * trace);
  const double forward = fid(kNoise, kOtherNoise)["metrics"]["frechet_distance"].get<double>();
  const double backward = fid(kOtherNoise, kNoise)["metrics"]["frechet_distance"].get<double>();
  EXPECT_NEAR(forward, backward, 1e-9 * forward);
}

TEST(Score, StatisticsGiveTheScoreOfTheirImages) {
  const testing::TempDir dir;
  const auto stats = (dir / "noise.npz").string();
  record_of({"stats", "--data", kNoise, "--out", stats, "--features", "fashion-mnist-small"});
  const double direct = fid(kNoise, kOtherNoise)["metrics"]["frechet_distance"].get<double>();
  const auto record = fid(stats, kOtherNoise);
  EXPECT_NEAR(record["metrics"]["frechet_distance"].get<double>(), direct, 1e-8 * direct);
  EXPECT_EQ(record["real"]["count"], 200) << "the count travels in the file's provenance";
}

/// As ADM's reference file: its statistics for the distance, its images for precision and recall.
TEST(Score, AReferenceWithItsImagesServesBoth) {
  const testing::TempDir dir;
  const auto ref = (dir / "ref.npz").string();
  record_of({"stats", "--data", kNoise, "--out", ref, "--features", "fashion-mnist-small", "--images"});
  const double direct = fid(kNoise, kOtherNoise)["metrics"]["frechet_distance"].get<double>();
  EXPECT_NEAR(fid(ref, kOtherNoise)["metrics"]["frechet_distance"].get<double>(), direct, 1e-8 * direct);
  EXPECT_EQ(fid(ref + "?as=images", kOtherNoise)["metrics"]["frechet_distance"], direct);
  const auto prdc = [](const std::string& real) {
    return record_of({"prdc", "--real", real, "--fake", kOtherNoise, "--features", "fashion-mnist-small"});
  };
  EXPECT_EQ(prdc(ref + "?as=images")["metrics"], prdc(kNoise)["metrics"]);
  const auto refused = run_program({"prdc", "--real", ref, "--fake", kOtherNoise});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(testing::error_line(refused), HasSubstr("; " + ref + "?as=images is the images in that file"));
  const auto idle =
      run_program({"stats", "--data", kNoise, "--features-out", (dir / "f.safetensors").string(),
                   "--features", "fashion-mnist-small", "--images"});
  EXPECT_THAT(testing::error_line(idle), HasSubstr("--images: is for statistics, which go to --out"));
}

TEST(Score, WhatStatisticsSayDecidesWhatIsLeftOpen) {
  const testing::TempDir dir;
  const auto stats = (dir / "noise.npz").string();
  record_of({"stats", "--data", kNoise, "--out", stats, "--features", "fashion-mnist-small"});
  const auto record = record_of({"fid", "--real", stats, "--fake", kOtherNoise});
  EXPECT_EQ(record["features"]["name"], "fashion-mnist-small");
  EXPECT_EQ(record["metrics"], fid(stats, kOtherNoise)["metrics"]);
}

/// sFID is of the FID Inception: statistics that say they are of another network have none, whatever else
/// lies beside them.
TEST(Score, SpatialStatisticsOfAnotherNetworkAreRefused) {
  const testing::TempDir dir;
  const auto stats = [&](const std::string& name, const std::string& provenance, int64_t columns) {
    data::write_statistics(
        dir / name, {torch::zeros({2}, torch::kFloat64), torch::eye(2, torch::kFloat64), provenance, {}},
        data::SpatialStatistics{torch::zeros({columns}, torch::kFloat64),
                                torch::eye(columns, torch::kFloat64)});
    return (dir / name).string();
  };
  const auto refused = [](const std::string& real, const std::string& fake, const std::string& metrics,
                          int exit_code) {
    return testing::refusal({"score", "--real", real, "--fake", fake, "--metrics", metrics}, exit_code);
  };
  const auto other = stats("other.npz", R"({"features":{"name":"bands","dim":2},"count":9})", 2023);
  EXPECT_THAT(refused(other, other, "sfid", 6),
              HasSubstr("--real " + other +
                        ": was made with the network 'bands', and sfid is of the FID Inception alone"));
  const auto narrow = stats("narrow.npz", "", 7);
  EXPECT_THAT(
      refused(narrow, narrow, "sfid", 2),
      HasSubstr("holds no statistics of spatial features (mu_s and sigma_s of 2023), which sfid needs; make "
                "it with `ddpm-eval stats --spatial`"));
  data::write_npz(dir / "alone.npz", {{"mu_s", torch::zeros({2023})}, {"sigma_s", torch::eye(2023)}});
  EXPECT_THAT(refused((dir / "alone.npz").string(), other, "fid", 3),
              HasSubstr("it holds mu_s, sigma_s: statistics of spatial features alone, which fid --features "
                        "inception:spatial reads"));
}

/// Nobody typed the network that a message speaks of: it says whose default it is.
TEST(Score, SpatialFeaturesOfADefaultNetworkAreRefusedByItsName) {
  const testing::TempDir dir;
  testing::write_banded_digits(dir.path(), "train", 20);
  const auto set = "fashion-mnist:train@" + dir.path().string();
  for (const auto& [asked, words] :
       {std::pair<std::string, std::vector<std::string>>{
            "--metrics sfid", {"score", "--real", set, "--fake", set, "--metrics", "sfid"}},
        {"--spatial", {"stats", "--data", set, "--out", (dir / "s.npz").string(), "--spatial"}}}) {
    const auto result = run_program(words);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_THAT(error_line(result),
                HasSubstr(asked +
                          ": only the FID Inception has spatial features beside its own, and the "
                          "default for " +
                          set + " is 'fashion-mnist-small'; use --features inception"));
  }
}

TEST(Score, OptionsWithoutEffectAreRefused) {
  const testing::TempDir dir;
  const auto stats = (dir / "noise.npz").string();
  record_of({"stats", "--data", kNoise, "--out", stats, "--features", "fashion-mnist-small"});
  for (const auto& [flag, value] : {std::pair<std::string, std::string>{"--features", "inception"},
                                    {"--weights", "w.pth"},
                                    {"--convention", "clip"},
                                    {"--preset", "pytorch-fid"}}) {
    const auto result = run_program({"fid", "--real", stats, "--fake", stats, flag, value});
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(error_line(result), HasSubstr(flag + " " + value + ": both sides are statistics files"));
  }
  auto result = run_program({"score", "--real", "moons", "--fake", "moons", "--preset", "pytorch-fid"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(error_line(result), HasSubstr("points take no"));
  for (const auto& more : {std::vector<std::string>{"--trust-torchscript"}, {"--convention", "clip"}}) {
    std::vector<std::string> words = {"score", "--real", "moons", "--fake", "moons"};
    words.insert(words.end(), more.begin(), more.end());
    result = run_program(words);
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(error_line(result), HasSubstr("points take no --convention or --trust-torchscript"));
  }
  for (const auto& [flag, value] :
       {std::pair<std::string, std::string>{"--weights", "w.pth"}, {"--preset", "pytorch-fid"}}) {
    const std::string message = flag + " " + value + ": only the FID Inception";
    result = run_program(
        {"fid", "--real", kNoise, "--fake", kNoise, "--features", "fashion-mnist-small", flag, value});
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(error_line(result), HasSubstr(message));
    result = run_program({"stats", "--data", kNoise, "--out", (dir / "s.npz").string(), "--features",
                          "fashion-mnist-small", flag, value});
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(error_line(result), HasSubstr(message));
  }
  result = run_program({"fid", "--real", "", "--fake", stats});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(error_line(result), HasSubstr("names no source"));
}

TEST(Score, ResultsThatCannotBeWrittenAreToldBeforeTheWork) {
  const auto result = run_program(
      {"fid", "--real", "cifar@/nowhere", "--fake", "cifar@/nowhere", "--json", "/nowhere/score.json"});
  EXPECT_EQ(result.exit_code, 7);
  EXPECT_THAT(error_line(result), HasSubstr("/nowhere/score.json: cannot be written"));
}

TEST(Score, BothScoresAndYardsticksComeFromOnePass) {
  const auto record =
      record_of({"score", "--real", kNoise, "--fake", kOtherNoise, "--features", "fashion-mnist-small",
                 "--yardstick", "gaussian-noise:28x28x1?num=200&seed=3"});
  EXPECT_GE(record["metrics"]["classifier_score_mean"].get<double>(), 1.0);
  EXPECT_LE(record["metrics"]["classifier_score_mean"].get<double>(), 10.0);
  ASSERT_EQ(record["yardsticks"].size(), 1U);
  EXPECT_EQ(record["yardsticks"][0]["count"], 200);
  EXPECT_GT(record["yardsticks"][0]["metrics"]["frechet_distance"].get<double>(), 0.0);
}

TEST(Score, YardsticksOfAnotherCountAreRefused) {
  const auto result = run_program({"score", "--real", kNoise, "--fake", kOtherNoise, "--features",
                                   "fashion-mnist-small", "--yardstick", "gaussian-noise:28x28x1?num=100"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(error_line(result), HasSubstr("100 images, but --fake has 200"));
}

TEST(Score, PointSetsAreScoredWithTheirFloor) {
  const auto record =
      record_of({"score", "--real", "swiss-roll?num=500&seed=1", "--fake", "swiss-roll?num=500&seed=2"});
  const double distance = record["metrics"]["sliced_wasserstein_distance"].get<double>();
  EXPECT_GT(distance, 0.0);
  EXPECT_LT(distance, 3 * record["floor"]["sliced_wasserstein_distance"].get<double>());
  const auto far = record_of({"score", "--real", "swiss-roll?num=500", "--fake", "moons?num=500"});
  EXPECT_GT(far["metrics"]["sliced_wasserstein_distance"].get<double>(), 3 * distance);
}

TEST(Score, PointSetsHaveEveryDistanceWithWhatItDependsOn) {
  const auto record =
      record_of({"score", "--real", "swiss-roll?num=600&seed=1", "--fake", "swiss-roll?num=500&seed=2"});
  const auto& metrics = record["metrics"];
  const auto& error = record["uncertainty"]["squared_mmd"];
  EXPECT_LT(std::abs(metrics["squared_mmd"].get<double>()), 4 * error["standard_error"].get<double>());
  EXPECT_NEAR(record["parts"]["mmd"]["bandwidth"].get<double>(), 1.1, 0.2);
  EXPECT_EQ(record["parts"]["mmd"]["bandwidth_points"], 600);
  const auto& histogram = record["parts"]["histogram"];
  EXPECT_EQ(histogram["direction"], "KL(real || fake)");
  EXPECT_EQ(histogram["bins"], json({7, 7}));
  EXPECT_EQ(histogram["pseudo_count"], 0.5);
  EXPECT_LT(histogram["range"][0][0].get<double>(), histogram["range"][0][1].get<double>());
  for (const char* key :
       {"histogram_kl_divergence", "off_manifold_distance_mean", "off_manifold_distance_q95"}) {
    EXPECT_NEAR(metrics[key].get<double>() / record["floor"][key].get<double>(), 1.0, 0.4) << key;
  }
  const auto far = record_of({"score", "--real", "swiss-roll?num=600&seed=1", "--fake", "moons?num=500"});
  EXPECT_EQ(far["parts"]["mmd"]["bandwidth"], record["parts"]["mmd"]["bandwidth"])
      << "the real points alone decide on it";
  for (const char* key : {"squared_mmd", "histogram_kl_divergence", "off_manifold_distance_q95"}) {
    EXPECT_GT(far["metrics"][key].get<double>(), 2 * metrics[key].get<double>()) << key;
  }
  const auto gaussians = record_of({"score", "--real", "8-gaussians?num=60", "--fake", "moons?num=50"});
  EXPECT_FALSE(gaussians["metrics"].contains("off_manifold_distance_mean")) << "they lie on no curve";
}

TEST(Score, RealPointsThatAreOneAreRefused) {
  const testing::TempDir dir;
  core::write_file(dir / "one.npy", data::to_npy(torch::ones({20, 2})));
  const auto file = (dir / "one.npy").string();
  const auto result = run_program({"score", "--real", file, "--fake", "moons?num=20"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(error_line(result), HasSubstr("--real " + file + " against moons?num=20: all real points"));
}

TEST(Score, ARunOfPointsEqualsItsSamples) {
  const testing::TempDir dir;
  core::write_file(dir / "c.toml",
                   "[data]\nsource = 'swiss-roll'\npoints = 10\n[model]\nkind = 'mlp'\n[process]\nsteps = 4\n"
                   "[train]\nsteps = 2\nbatch_size = 4\nflip = false\n[sample]\nclip = false\n");
  const auto run = (dir / "run").string();
  const auto file = (dir / "p.npy").string();
  for (const auto& command :
       {std::vector<std::string>{"train", "--config", (dir / "c.toml").string(), "--out", run},
        std::vector<std::string>{"sample", "--run", run, "--num", "40", "--seed", "3", "--out", file}}) {
    const auto result = run_program(command);
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }
  const auto score = [](const std::string& fake) {
    return record_of({"score", "--real", "swiss-roll?num=50", "--fake", fake});
  };
  const auto source = "run:" + run + "?first=10&num=30&seed=3";
  const auto record = score(source);
  EXPECT_EQ(record["metrics"], score(file + "?first=10")["metrics"]);
  EXPECT_EQ(record["fake"]["source"], source);
  EXPECT_EQ(record["fake"]["count"], 30);
  EXPECT_EQ(record["fake"]["context"]["seed"], 3);
  const auto images =
      run_program({"fid", "--real", kNoise, "--fake", source, "--features", "fashion-mnist-small"});
  EXPECT_EQ(images.exit_code, 2);
  EXPECT_THAT(error_line(images), HasSubstr(source + ": this run makes points, not images"));
}

TEST(Score, APartOfAFileOfPoints) {
  const testing::TempDir dir;
  const auto whole = data::make_points("moons", 0, 300, 1);
  core::write_file(dir / "whole.npy", data::to_npy(whole));
  core::write_file(dir / "part.npy", data::to_npy(whole.narrow(0, 100, 150)));
  const auto score = [](const std::string& fake) {
    return record_of({"score", "--real", "moons?num=150&seed=2", "--fake", fake});
  };
  const auto record = score((dir / "whole.npy").string() + "?first=100&num=150");
  EXPECT_EQ(record["metrics"], score((dir / "part.npy").string())["metrics"]);
  EXPECT_EQ(record["fake"]["count"], 150);
  EXPECT_EQ(record["fake"]["source"], (dir / "whole.npy").string() + "?first=100&num=150");
  const auto beyond =
      run_program({"score", "--real", "moons", "--fake", (dir / "whole.npy").string() + "?num=301"});
  EXPECT_EQ(beyond.exit_code, 2);
  EXPECT_THAT(error_line(beyond), HasSubstr("whole.npy?num=301: num=301 does not fit"));
}

TEST(Score, AScoreOfManyPointsHearsCtrlC) {
  const auto result = run_program({"score", "--real", "swiss-roll?num=300000", "--fake", "moons?num=300000"},
                                  {.interrupt_once_said = "sliced Wasserstein distance"});
  EXPECT_EQ(result.exit_code, 130);
  EXPECT_THAT(error_line(result), HasSubstr("interrupted while computing the sliced Wasserstein distance"));
  EXPECT_EQ(result.out, "");
}

TEST(Score, APointScoreHasAPage) {
  const testing::TempDir dir;
  const auto scored = run_program({"score", "--real", "moons?num=20&seed=1", "--fake", "moons?num=20&seed=2",
                                   "--json", (dir / "score.json").string()});
  ASSERT_EQ(scored.exit_code, 0) << scored.err;
  const auto page = run_program({"report", dir.path().string()});
  EXPECT_EQ(page.exit_code, 0) << page.err;
}

TEST(Score, TheGeneralRootAgreesOnFullRank) {
  const std::string real = "gaussian-noise:28x28x1?num=600&seed=1";
  const std::string fake = "gaussian-noise:28x28x1?num=600&seed=2";
  const auto symmetric = fid(real, fake);
  const auto general = record_of(
      {"fid", "--real", real, "--fake", fake, "--features", "fashion-mnist-small", "--sqrt", "general"});
  EXPECT_EQ(general["sqrt"], "general");
  const double scale = symmetric["parts"]["frechet"]["trace_real"].get<double>();
  EXPECT_NEAR(symmetric["metrics"]["frechet_distance"].get<double>(),
              general["metrics"]["frechet_distance"].get<double>(), 1e-6 * scale);
}

TEST(Score, InceptionScoreNeedsAPresetThatHasIt) {
  const auto result = run_program({"is", "--fake", kNoise, "--preset", "pytorch-fid"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(error_line(result), HasSubstr("torch-fidelity"));
}

TEST(Score, MissingWeightsNameTheFileTheDigestAndTheCommand) {
  const testing::TempDir home;
  const auto result = run_program({"fid", "--real", kNoise, "--fake", kOtherNoise},
                                  {.environment = {"DDPM_EVAL_HOME=" + home.path().string()}});
  EXPECT_EQ(result.exit_code, 3);
  const auto message = error_line(result);
  EXPECT_THAT(message, HasSubstr(home.path().string() + "/weights/pt_inception-2015-12-05-6726825d.pth"));
  EXPECT_THAT(message, HasSubstr("6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"));
  EXPECT_THAT(message, HasSubstr("ddpm-eval weights fetch inception-fid"));
}

}  // namespace
}  // namespace ddpm_eval
