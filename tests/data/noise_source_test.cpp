#include "base/data/noise_source.h"

#include "base/core/error.h"
#include "base/data/source_spec.h"
#include "tests/support/errors.h"
#include "tests/support/tensor_matchers.h"

#include <gmock/gmock.h>
#include <torch/types.h>

namespace ddpm_eval::data {
namespace {

using ::testing::HasSubstr;
using testing::message_of;
using testing::TensorEq;

TEST(NoiseSource, ImagesDependOnSeedAndIndexAlone) {
  const auto all = make_noise_source("n", {8, 6, 3}, 0, 5, 7)->next(10);
  EXPECT_EQ(all.sizes(), (std::vector<int64_t>{5, 3, 8, 6}));
  const auto part = make_noise_source("n", {8, 6, 3}, 3, 2, 7);
  EXPECT_THAT(part->next(1), TensorEq(all.slice(0, 3, 4)));
  EXPECT_THAT(part->next(9), TensorEq(all.slice(0, 4, 5)));
  EXPECT_FALSE(part->next(1).defined());
  EXPECT_FALSE(torch::equal(make_noise_source("n", {8, 6, 3}, 0, 5, 8)->next(10), all));
}

TEST(NoiseSource, HasTheMomentsOfAClampedNormal) {
  const auto grey = make_noise_source("n", {64, 64, 1}, 0, 64, 0)->next(64);
  EXPECT_THAT(grey.select(1, 0), TensorEq(grey.select(1, 2)));
  const auto x = grey.select(1, 0).to(torch::kFloat64).div(127.5).sub(1);
  // E clamp(z)^2 on [-1, 1] is 1 - 2 phi(1) = 0.516059; P(|z| >= 1) = 0.317311. Five standard errors at n =
  // 2^18.
  EXPECT_NEAR(x.mean().item<double>(), 0.0, 5 * 0.72 / 512);
  EXPECT_NEAR(x.pow(2).mean().item<double>(), 0.516059, 5 * 0.39 / 512 + 1e-4);
  EXPECT_NEAR(x.abs().ge(1).to(torch::kFloat64).mean().item<double>(), 0.317311, 5 * 0.47 / 512 + 2e-3);
}

TEST(NoiseSource, SpecsAreParsedAndRefused) {
  const auto spec = parse_source("gaussian-noise:28x28x1?num=20&seed=3");
  EXPECT_EQ(spec.kind, SourceKind::kNoise);
  EXPECT_EQ(spec.seed, 3U);
  EXPECT_EQ(open_image_source(spec)->size(), 20);
  const auto refusal = [](const std::string& text) {
    return message_of<core::UsageError>([&] { parse_source(text); });
  };
  EXPECT_THAT(refusal("gaussian-noise:28?num=2"), HasSubstr("write gaussian-noise:HxWxC"));
  EXPECT_THAT(refusal("gaussian-noise:28x28x2?num=2"), HasSubstr("1 or 3 channels"));
  EXPECT_THAT(refusal("gaussian-noise:28x28x1"), HasSubstr("say how many images with ?num=N"));
}

}  // namespace
}  // namespace ddpm_eval::data
