#include "metrics/preset.h"

#include "tests/support/errors.h"

#include <set>

namespace ddpm_eval::metrics {
namespace {

using ::testing::HasSubstr;
using testing::message_of;

TEST(Preset, TorchFidelityIsTheDefaultAndFollowsTensorFlow) {
  const Preset& preset = find_preset(kDefaultPreset);
  EXPECT_EQ(preset.name, "torch-fidelity");
  EXPECT_EQ(preset.resampler, Resampler::kTf1Bilinear);
  EXPECT_EQ(preset.scaling, Scaling::kCentredBytes);
  ASSERT_TRUE(preset.inception_score.has_value());
  EXPECT_EQ(preset.inception_score->splits, 10);
  EXPECT_EQ(preset.inception_score->shuffle_seed, 2020u);
}

TEST(Preset, PytorchFidHasItsOwnResamplerAndNoInceptionScore) {
  const Preset& preset = find_preset("pytorch-fid");
  EXPECT_EQ(preset.resampler, Resampler::kHalfPixelBilinear);
  EXPECT_EQ(preset.scaling, Scaling::kSignedUnit);
  EXPECT_TRUE(has_metric(preset, kFrechetDistance));
  EXPECT_FALSE(has_metric(preset, kInceptionScore));
}

TEST(Preset, EveryOneHasANameOfItsOwnAndSaysWhereThisProgramDiffers) {
  std::set<std::string_view> names;
  for (const Preset& preset : presets()) {
    EXPECT_TRUE(names.insert(preset.name).second) << preset.name;
    EXPECT_FALSE(preset.note.empty()) << preset.name;
    EXPECT_FALSE(preset.resampler_name.empty()) << preset.name;
    EXPECT_THAT(preset_names(), HasSubstr(std::string(preset.name)));
  }
}

TEST(Preset, InceptionScoresFollowTheirTools) {
  const auto rule = [](const char* name) { return *find_preset(name).inception_score; };
  EXPECT_EQ(rule("adm").splitting, Splitting::kChunks);
  EXPECT_EQ(rule("adm").splits, 5000);
  EXPECT_EQ(rule("adm").ddof, std::nullopt);
  EXPECT_EQ(rule("torchmetrics").splitting, Splitting::kCeil);
  EXPECT_EQ(rule("torchmetrics").ddof, 1);
  EXPECT_EQ(rule("torchmetrics").shuffle_seed, std::nullopt);
  EXPECT_EQ(rule("pytorch-gan-metrics").splitting, Splitting::kEven);
  EXPECT_EQ(rule("dgm-eval").splitting, Splitting::kDropRest);
  EXPECT_EQ(rule("dgm-eval").shuffle_seed, 2020u);
  for (const char* name : {"clean-fid", "clean-fid-legacy-pytorch", "clean-fid-legacy-tensorflow", "edm"}) {
    EXPECT_FALSE(has_metric(find_preset(name), kInceptionScore)) << name;
  }
}

TEST(Preset, AMisspeltNameIsAnErrorWithTheNearestOne) {
  const auto message = message_of<core::UsageError>([] { find_preset("pytorch_fid"); });
  EXPECT_THAT(message, HasSubstr("'pytorch_fid'"));
  EXPECT_THAT(message, HasSubstr("did you mean 'pytorch-fid'?"));
  EXPECT_THAT(message_of<core::UsageError>([] { find_preset("xyz"); }),
              HasSubstr("torch-fidelity, pytorch-fid, clean-fid, "));
}

TEST(Preset, AMetricTheToolLacksIsAnErrorNamingThePresetsThatHaveIt) {
  EXPECT_NO_THROW(require_metric(find_preset("torch-fidelity"), kInceptionScore));
  EXPECT_NO_THROW(require_metric(find_preset("pytorch-fid"), kFrechetDistance));
  const auto message =
      message_of<core::UsageError>([] { require_metric(find_preset("pytorch-fid"), kInceptionScore); });
  EXPECT_THAT(message, HasSubstr("'pytorch-fid' has no inception_score"));
  EXPECT_THAT(message,
              HasSubstr("--preset torch-fidelity, torchmetrics, adm, pytorch-gan-metrics or dgm-eval"));
  EXPECT_THAT(message_of<core::UsageError>([] { require_metric(find_preset("pytorch-fid"), "beauty"); }),
              HasSubstr("no preset has a metric 'beauty'"));
}

}  // namespace
}  // namespace ddpm_eval::metrics
