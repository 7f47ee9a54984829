#include "metrics/extract.h"
#include "metrics/frechet.h"
#include "metrics/inception.h"
#include "metrics/inception_score.h"
#include "tests/support/inception_golden.h"
#include "tests/support/memory_source.h"
#include "tests/support/synthetic_inception.h"

#include <cmath>

#include <gtest/gtest.h>

// From pixels to scores beside what the two tools report for the same images and the same (synthetic)
// weights.
namespace ddpm_eval::metrics {
namespace {

struct Side {
  Moments moments;
  at::Tensor logits;
};

Side extract_side(const FeatureNet& net, const nlohmann::json& golden, const std::string& name) {
  std::vector<at::Tensor> images;
  for (int64_t i = 0; i < golden["count"].get<int64_t>(); ++i) {
    images.push_back(
        testing::synthetic_image(name, i, golden["height"], golden["width"], golden["noise"][name]));
  }
  testing::MemorySource source(std::move(images));
  MomentsAccumulator moments(net.info().dim);
  std::vector<at::Tensor> logits;
  extract(source, net, [&](const NetOutput& output) {
    moments.add(output.features);
    logits.push_back(output.logits);
  });
  return {moments.finish(), at::cat(logits)};
}

/// The larger of 1e-4 of the value and what the tools differ by on the same features.
double tolerance(const nlohmann::json& distances) {
  const double one = distances["torch-fidelity"];
  const double other = distances["pytorch-fid"];
  return std::max(1e-4 * one, std::abs(one - other));
}

class EndToEnd : public ::testing::TestWithParam<const char*> {};

TEST_P(EndToEnd, ScoresAgreeWithTheTool) {
  const auto golden = testing::inception_golden()["end_to_end"];
  const auto& reported = golden["reported"][GetParam()];
  const Preset& preset = find_preset(GetParam());
  const auto net = make_inception(testing::synthetic_inception_weights(), {.preset = preset});
  Side real = extract_side(*net, golden, "real");
  Side fake = extract_side(*net, golden, "fake");
  const double fid = frechet_distance(std::move(real.moments), std::move(fake.moments)).distance;
  EXPECT_NEAR(fid, reported["frechet_inception_distance"].get<double>(),
              tolerance(golden["frechet_distance_of_features_of"][GetParam()]));
  if (preset.inception_score) {
    const auto score = inception_score(fake.logits, *preset.inception_score);
    EXPECT_NEAR(score.mean, reported["inception_score_mean"].get<double>(), 1e-4 * score.mean);
    EXPECT_NEAR(*score.std, reported["inception_score_std"].get<double>(), 1e-4 * score.mean);
  }
}

INSTANTIATE_TEST_SUITE_P(SlowPresets, EndToEnd, ::testing::Values("torch-fidelity", "pytorch-fid"));

}  // namespace
}  // namespace ddpm_eval::metrics
