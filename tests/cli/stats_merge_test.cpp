#include "base/data/npz.h"
#include "base/data/statistics_file.h"
#include "tests/support/run_fixture.h"
#include "tests/support/tensor_matchers.h"

#include <torch/types.h>

namespace ddpm_eval {
namespace {

using testing::TensorNear;

class StatsMerge : public testing::RunFixture {
 protected:
  static constexpr const char* kNoise = "gaussian-noise:28x28x1?seed=3";

  /// The statistics of a part of the noise.
  std::string stats(const std::string& name, const std::string& part) {
    done({"stats", "--data", kNoise + part, "--features", "fashion-mnist-small", "--out", path(name)});
    return path(name);
  }
};

TEST_F(StatsMerge, PartsTogetherAreTheWhole) {
  const auto whole = data::read_statistics(stats("whole.npz", "&num=60"));
  const auto first = stats("1.npz", "&num=7"), rest = stats("3.npz", "&first=27&num=33");
  const auto second = stats("2.npz", "&first=7&num=20");
  const auto record = record_of({"stats", "merge", first, second, rest, "--out", path("all.npz")});
  EXPECT_EQ(record["kind"], "statistics");
  EXPECT_EQ(record["count"], 60);
  EXPECT_EQ(record["features"]["name"], "fashion-mnist-small");
  ASSERT_EQ(record["parts"].size(), 3U);
  EXPECT_EQ(record["parts"][1]["count"], 20);
  EXPECT_EQ(record["parts"][1]["data"]["source"], std::string(kNoise) + "&first=7&num=20");
  const auto all = data::read_statistics(path("all.npz"));
  EXPECT_THAT(all.mu, TensorNear(whole.mu, 1e-12));
  EXPECT_THAT(all.sigma, TensorNear(whole.sigma, 1e-12));
  // What is merged can be merged again, and serves as a reference.
  done({"stats", "merge", first, second, "--out", path("two.npz")});
  done({"stats", "merge", path("two.npz"), rest, "--out", path("again.npz")});
  EXPECT_THAT(data::read_statistics(path("again.npz")).sigma, TensorNear(whole.sigma, 1e-12));
  const auto score = record_of({"fid", "--real", path("all.npz"), "--fake", path("whole.npz")});
  EXPECT_NEAR(score["metrics"]["frechet_distance"].get<double>(), 0, 1e-6);
  EXPECT_EQ(score["real"]["count"], 60);
}

TEST_F(StatsMerge, WhatCannotBeMergedIsRefusedByFile) {
  const auto good = stats("good.npz", "&num=9");
  const auto merge = [&](const std::string& other) {
    return std::vector<std::string>{"stats", "merge", good, other, "--out", path("out.npz")};
  };
  data::write_npz(path("foreign.npz"), {{"mu", torch::zeros({64})}, {"sigma", torch::eye(64)}});
  refused(3, merge(path("foreign.npz")), "foreign.npz: does not say how many images it is of");
  auto other = data::read_statistics(good);
  other.provenance_json.replace(other.provenance_json.find("\"fashion-mnist-small\""), 21,
                                "\"something-else-it-is\"");
  data::write_statistics(path("other.npz"), other);
  refused(6, merge(path("other.npz")),
          "name of the features differs: " + good + " fashion-mnist-small, " + path("other.npz") +
              " something-else-it-is");
  refused(3, merge(path("none.npz")), "none.npz");
  refused(2, {"stats", "merge", good, "--out", path("out.npz")}, "parts");
  refused(2, {"stats", "merge", good, good}, "--out");
  refused(2, {"stats", "merge", good, good, "--out", good}, "--out");
  refused(2, merge(path("./good.npz")), "good.npz once more; each part counts once");
  std::filesystem::copy_file(good, path("copy.npz"));
  refused(3, merge(path("copy.npz")), "copy.npz: is of the images of " + good + ", by its mean");
  refused(2, {"stats", "--data", kNoise, "merge", good, good, "--out", path("out.npz")}, "--data");
  refused(2, {"stats", "--out", path("out.npz")}, "--data is required");
  refused(2, {"stats", "--data", kNoise}, "--out is required");
  EXPECT_FALSE(std::filesystem::exists(path("out.npz")));
}

TEST_F(StatsMerge, AMeasurementWithinAPartCountsOnceToo) {
  const auto first = stats("1.npz", "&num=7"), second = stats("2.npz", "&first=7&num=20");
  const auto rest = stats("3.npz", "&first=27&num=33");
  const auto two = path("two.npz"), three = path("three.npz");
  done({"stats", "merge", first, second, "--out", two});
  const auto record = record_of({"stats", "merge", two, rest, "--out", three});
  ASSERT_EQ(record["parts"].size(), 3U) << "flat, so that growing by a part a day stays readable";
  EXPECT_EQ(record["parts"][1]["file"], second);
  EXPECT_EQ(record["parts"][1]["count"], 20);
  const auto out = path("out.npz");
  refused(3, {"stats", "merge", two, first, "--out", out},
          "1.npz: is of the images of " + first + " in " + two + ", by its mean; each part counts once");
  refused(3, {"stats", "merge", second, three, "--out", out},
          second + " in " + three + ": is of the images of " + second + ", by its mean");
  refused(3, {"stats", "merge", three, two, "--out", out}, "is of the images of " + first + " in " + three);
  EXPECT_FALSE(std::filesystem::exists(out));
}

// Merging and scoring read statistics by the same rules.
TEST_F(StatsMerge, DamagedStatisticsAreRefusedHereAndInScores) {
  const auto good = stats("good.npz", "&num=9");
  const auto bad = path("bad.npz");
  const auto refused_everywhere = [&](const std::string& substance) {
    refused(3, {"stats", "merge", good, bad, "--out", path("out.npz")}, "bad.npz: " + substance);
    refused(3, {"fid", "--real", good, "--fake", bad}, "bad.npz: " + substance);
  };
  const auto read = data::read_statistics(good);
  const auto saying = [&](const char* key, const nlohmann::ordered_json& value) {
    auto other = read;
    auto provenance = nlohmann::ordered_json::parse(read.provenance_json);
    provenance[key] = value;
    other.provenance_json = provenance.dump();
    data::write_statistics(bad, other);
  };
  saying("count", INT64_MAX);
  refused_everywhere("its provenance.json has a count of 9223372036854775807, beyond 1000000000000");
  saying("count", INT64_C(1'000'000'000'000'000'000));
  refused_everywhere("its provenance.json has a count of 1000000000000000000, beyond");
  saying("count", 1);
  refused_everywhere("is of 1 image, which has no covariance");
  saying("parts", "a and b");
  refused_everywhere("its provenance.json has parts that are no list of two or more");
  saying("schema", 2);
  refused_everywhere("written by a newer ddpm-eval (schema 2, this one reads 1)");
  auto negative = read;
  negative.sigma = read.sigma.clone();
  negative.sigma[3][3] = -1;
  data::write_statistics(bad, negative);
  refused_everywhere("'sigma' holds -1 at (3, 3), a negative variance");
  // Counts that are sound one by one.
  saying("count", data::kMostCounted);
  auto shifted = data::read_statistics(bad);
  shifted.mu = shifted.mu + 1;
  auto provenance = nlohmann::ordered_json::parse(shifted.provenance_json);
  provenance.erase("data");
  shifted.provenance_json = provenance.dump();
  data::write_statistics(bad, shifted);
  refused(3, {"stats", "merge", good, bad, "--out", path("out.npz")},
          "bad.npz: with its 1000000000000 images there are more than");
}

// Of few features, so that they are quickly written: of how many there are nothing depends on.
TEST_F(StatsMerge, SpatialStatisticsAreMergedToo) {
  const auto with_spatial = [&](const std::string& name, const std::string& part, const at::Tensor& rows) {
    const auto read = data::read_statistics(stats(name, part));
    data::write_statistics(path(name), read, data::SpatialStatistics{rows.mean(0), at::cov(rows.t())});
    return path(name);
  };
  const auto rows = torch::rand({60, 5}, torch::kFloat64);
  const auto first = with_spatial("1.npz", "&num=7", rows.narrow(0, 0, 7));
  const auto second = with_spatial("2.npz", "&first=7&num=20", rows.narrow(0, 7, 20));
  const auto third = with_spatial("3.npz", "&first=27&num=33", rows.narrow(0, 27, 33));
  const auto all = path("all.npz"), two = path("two.npz");
  done({"stats", "merge", first, second, "--out", two});
  EXPECT_EQ(done({"stats", "merge", two, third, "--out", all}),
            all + ": mu and sigma, mu_s and sigma_s of 60 images in 3 parts\n");
  const auto merged = data::read_statistics(all, data::StatisticsPart::kSpatial);
  EXPECT_THAT(merged.mu, TensorNear(rows.mean(0), 1e-12));
  EXPECT_THAT(merged.sigma, TensorNear(at::cov(rows.t()), 1e-12));
  const auto plain = stats("4.npz", "&first=60&num=9");
  const auto result =
      testing::run_program({"stats", "merge", all, plain, "--out", path("some.npz"), "--json", "-"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const auto note = "mu_s and sigma_s are left out: " + all + " has them, " + plain + " has not";
  EXPECT_THAT(result.err, ::testing::HasSubstr("note: " + note + "\n"));
  EXPECT_EQ(nlohmann::json::parse(result.out)["notes"].back(), note);
  EXPECT_FALSE(data::holds_spatial_statistics(path("some.npz")));
  const auto other = with_spatial("5.npz", "&first=70&num=9", torch::rand({9, 6}, torch::kFloat64));
  refused(6, {"stats", "merge", all, other, "--out", path("out.npz")},
          "mu_s of " + all + " is of 5 features, that of " + other + " of 6");
}

}  // namespace
}  // namespace ddpm_eval
