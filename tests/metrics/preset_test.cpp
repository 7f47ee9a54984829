#include "metrics/preset.h"

#include "tests/support/errors.h"

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

TEST(Preset, AMisspeltNameIsAnErrorWithTheNearestOne) {
  const auto message = message_of<core::UsageError>([] { find_preset("pytorch_fid"); });
  EXPECT_THAT(message, HasSubstr("'pytorch_fid'"));
  EXPECT_THAT(message, HasSubstr("did you mean 'pytorch-fid'?"));
  EXPECT_THAT(message_of<core::UsageError>([] { find_preset("xyz"); }),
              HasSubstr("torch-fidelity or pytorch-fid"));
}

TEST(Preset, AMetricTheToolLacksIsAnErrorNamingThePresetsThatHaveIt) {
  EXPECT_NO_THROW(require_metric(find_preset("torch-fidelity"), kInceptionScore));
  EXPECT_NO_THROW(require_metric(find_preset("pytorch-fid"), kFrechetDistance));
  const auto message =
      message_of<core::UsageError>([] { require_metric(find_preset("pytorch-fid"), kInceptionScore); });
  EXPECT_THAT(message, HasSubstr("'pytorch-fid' has no inception_score"));
  EXPECT_THAT(message, HasSubstr("--preset torch-fidelity"));
  EXPECT_THAT(message_of<core::UsageError>([] { require_metric(find_preset("pytorch-fid"), "beauty"); }),
              HasSubstr("no preset has a metric 'beauty'"));
}

}  // namespace
}  // namespace ddpm_eval::metrics
