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

}  // namespace
}  // namespace ddpm_eval
