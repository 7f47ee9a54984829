#include "metrics/preprocess.h"

#include "metrics/extract.h"
#include "metrics/filter_resample.h"
#include "metrics/frechet.h"
#include "metrics/inception.h"
#include "metrics/resample.h"
#include "tests/support/inception_golden.h"
#include "tests/support/memory_source.h"
#include "tests/support/synthetic_inception.h"
#include "tests/support/tensor_matchers.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

// What each preset gives the network, beside the tools themselves.
namespace ddpm_eval::metrics {
namespace {

using testing::presets_golden;
using testing::synthetic_image;
using testing::TensorEq;
using testing::TensorNear;

constexpr int64_t kSide = 299;

at::Tensor golden_image(const nlohmann::json& one, int64_t index) {
  const auto image = synthetic_image("preset", index, one["height"], one["width"]);
  return one["grey"].get<bool>() ? image.narrow(1, 0, 1).repeat({1, 3, 1, 1}) : image;
}

enum class Match { kBits, kNearly };

void expect_golden(const at::Tensor& ours, const nlohmann::json& want, int64_t step, Match match,
                   const std::string& label) {
  const at::Tensor flat = ours.contiguous().flatten();
  if (match == Match::kBits) {
    EXPECT_EQ(testing::sha256_of(flat), want["sha256_of_nchw"].get<std::string>()) << label;
  }
  const double sum = want["sum"];
  EXPECT_NEAR(flat.sum(at::kDouble).item<double>(), sum, 1e-8 * sum) << label;
  EXPECT_THAT(flat.slice(0, 0, flat.numel(), step), TensorNear(testing::to_tensor(want["values"]), 1e-4))
      << label;
}

TEST(Preprocess, ResamplersHaveTheBitsOfTheTools) {
  const auto golden = presets_golden();
  const int64_t step = golden["pixel_step"];
  int64_t index = 0;
  for (const auto& one : golden["resize"]) {
    const auto label = fmt::format("{} x {}", one["height"].get<int64_t>(), one["width"].get<int64_t>());
    const auto image = golden_image(one, index++);
    expect_golden(resample_pillow_bicubic(image, kSide, kSide), one["pillow_bicubic"], step, Match::kBits,
                  label);
    expect_golden(resample_antialiased_bilinear(image, kSide, kSide), one["antialiased_bilinear"], step,
                  Match::kBits, label);
    // clean-fid clips these by itself. An image of one pixel is channels-last to PyTorch, whose other loop
    // multiplies the weights first.
    const bool pixel = image.size(2) * image.size(3) == 1;
    expect_golden(resample_half_pixel_of_bytes(image, kSide, kSide).clamp_(0, 255),
                  one["half_pixel_of_bytes"], step, pixel ? Match::kNearly : Match::kBits, label);
    EXPECT_LT(one["grid_from_tf1"].get<double>(), 0.01) << "which the notes on NVIDIA's network say";
  }
}

TEST(Preprocess, ScalesAsTheToolDoes) {
  const at::Tensor image = synthetic_image("scaling", 0, 20, 30);
  const auto prepared = [&](const char* preset) { return preprocess(find_preset(preset), image, kSide); };
  const auto centred = [](const at::Tensor& bytes) { return (bytes - 128) / 128; };
  EXPECT_THAT(prepared("clean-fid"), TensorEq(centred(resample_pillow_bicubic(image, kSide, kSide))));
  EXPECT_THAT(prepared("torchmetrics"),
              TensorEq(centred(resample_antialiased_bilinear(image, kSide, kSide))));
  EXPECT_THAT(prepared("clean-fid-legacy-pytorch"),
              TensorEq(resample_half_pixel_of_bytes(image, kSide, kSide).clamp(0, 255) / 255 * 2 - 1));
  for (const char* tf1 : {"torch-fidelity", "clean-fid-legacy-tensorflow", "adm", "edm"}) {
    EXPECT_THAT(prepared(tf1), TensorEq(centred(resample_tf1_bilinear(image, kSide, kSide)))) << tf1;
  }
  for (const char* unit : {"pytorch-fid", "pytorch-gan-metrics", "dgm-eval"}) {
    EXPECT_THAT(prepared(unit), TensorEq(resample_half_pixel_bilinear(image, kSide, kSide) * 2 - 1)) << unit;
  }
}

/// clean-fid's mode legacy_tensorflow gives its network (v / 255) * 255, which is v for every byte: it needs
/// no resampler of its own.
TEST(Preprocess, DividingABytesBy255AndMultiplyingAgainIsExact) {
  const auto bytes = torch::arange(256, torch::kFloat32);
  EXPECT_THAT(bytes / 255 * 255, TensorEq(bytes));
  EXPECT_TRUE(presets_golden()["to_tensor_times_255_is_exact"].get<bool>());
}

Moments moments_of_set(const FeatureNet& net, const nlohmann::json& sets, const std::string& side) {
  std::vector<at::Tensor> images;
  for (const auto& size : sets["sizes"]) {
    images.push_back(synthetic_image("preset-" + side, static_cast<int64_t>(images.size()), size[0], size[1],
                                     sets["noise"][side]));
  }
  testing::MemorySource source(std::move(images));
  MomentsAccumulator moments(net.info().dim);
  extract(source, net, [&](const NetOutput& output) { moments.add(output.features); });
  return moments.finish();
}

class PresetDistance : public ::testing::TestWithParam<const char*> {};

TEST_P(PresetDistance, AgreesWithTheToolOnImagesOfMixedSizes) {
  const auto sets = presets_golden()["sets"];
  static const auto weights = testing::synthetic_inception_weights();
  for (const auto& [layer, want] : sets["distances"][GetParam()].items()) {
    const auto net = make_inception(
        weights, {.preset = find_preset(GetParam()),
                  .layer = layer == "spatial" ? InceptionLayer::kSpatial : InceptionLayer::kPool3});
    const double distance =
        frechet_distance(moments_of_set(*net, sets, "real"), moments_of_set(*net, sets, "fake")).distance;
    EXPECT_NEAR(distance, want.get<double>(), 1e-5 * want.get<double>()) << layer;
  }
}

INSTANTIATE_TEST_SUITE_P(SlowPresets, PresetDistance,
                         ::testing::Values("clean-fid", "clean-fid-legacy-pytorch",
                                           "clean-fid-legacy-tensorflow", "torchmetrics", "adm", "edm",
                                           "pytorch-gan-metrics", "dgm-eval"));

}  // namespace
}  // namespace ddpm_eval::metrics
