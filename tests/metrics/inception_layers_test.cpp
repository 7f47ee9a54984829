#include "metrics/extract.h"
#include "metrics/inception.h"
#include "tests/support/errors.h"
#include "tests/support/inception_golden.h"
#include "tests/support/memory_source.h"
#include "tests/support/synthetic_inception.h"
#include "tests/support/tensor_matchers.h"

#include <gtest/gtest.h>

// Features of the FID Inception's lower layers.
namespace ddpm_eval::metrics {
namespace {

using testing::synthetic_image;
using testing::TensorEq;
using testing::TensorNear;

const tensor::NamedTensors& synthetic_weights() {
  static const auto all = testing::synthetic_inception_weights();
  return all;
}

NetOutput outputs_of(const FeatureNet& net, const std::vector<at::Tensor>& images) {
  testing::MemorySource source(images);
  std::vector<at::Tensor> features, spatial;
  NetOutput all;
  extract(source, net, [&](const NetOutput& output) {
    features.push_back(output.features);
    if (output.spatial.defined()) {
      spatial.push_back(output.spatial);
    }
    all.logits = output.logits;
  });
  all.features = at::cat(features);
  all.spatial = spatial.empty() ? at::Tensor() : at::cat(spatial);
  return all;
}

TEST(InceptionLayers, TheLayoutEndsWhereTheLayerIs) {
  EXPECT_EQ(inception_layers().front().layer, InceptionLayer::kPool3);
  for (const auto& info : inception_layers()) {
    const auto blocks = inception_layout(info.layer);
    EXPECT_EQ(blocks.size(), info.blocks);
    EXPECT_EQ(&layer_info(info.layer), &info);
  }
  const auto spatial = inception_layout(InceptionLayer::kSpatial).back();
  ASSERT_EQ(spatial.branches.size(), 1u);
  EXPECT_EQ(spatial.branches[0].chain[0].name, "Mixed_6d.branch1x1");
  EXPECT_EQ(inception_layout(InceptionLayer::kMixed6e).back().branches[0].chain[0].name,
            "Mixed_6e.branch1x1");
}

TEST(InceptionLayers, ALayerIsANetworkOfItsOwnNameAndHasNoClasses) {
  for (const auto& info : inception_layers()) {
    const auto net = make_inception(synthetic_weights(), {.layer = info.layer});
    EXPECT_EQ(net->info().name, info.name);
    EXPECT_EQ(net->info().dim, info.dim);
    EXPECT_EQ(net->info().classes, info.layer == InceptionLayer::kPool3 ? 1008 : 0);
  }
}

TEST(InceptionLayers, SpatialFeaturesBesideALowerLayerAreABug) {
  EXPECT_THROW(make_inception(synthetic_weights(), {.layer = InceptionLayer::kMixed6e, .spatial = true}),
               core::LogicError);
}

TEST(SlowInceptionLayers, FeaturesAgreeWithPytorchFid) {
  const auto cases = testing::presets_golden()["layers"];
  std::vector<at::Tensor> images;
  for (const auto& one : cases) {
    images.push_back(
        synthetic_image("layer", static_cast<int64_t>(images.size()), one["height"], one["width"]));
  }
  for (const auto& info : inception_layers()) {
    const auto net =
        make_inception(synthetic_weights(), {.preset = find_preset("pytorch-fid"), .layer = info.layer});
    const auto output = outputs_of(*net, images);
    EXPECT_EQ(output.logits.defined(), info.layer == InceptionLayer::kPool3);
    for (size_t i = 0; i < cases.size(); ++i) {
      const auto& want = cases[i][info.word.empty() ? "2048" : std::string(info.word)];
      const at::Tensor row = output.features[static_cast<int64_t>(i)].to(at::kDouble);
      const double norm = want["norm"];
      EXPECT_EQ(row.numel(), want["dim"].get<int64_t>());
      EXPECT_NEAR(row.norm().item<double>(), norm, 1e-6 * norm) << info.name;
      EXPECT_NEAR(row.sum().item<double>(), want["sum"].get<double>(), 1e-5 * norm) << info.name;
      EXPECT_THAT(row.slice(0, 0, row.numel(), want["step"].get<int64_t>()),
                  TensorNear(testing::to_tensor(want["values"]), 1e-6 * norm))
          << info.name;
    }
  }
}

TEST(SlowInceptionLayers, SpatialFeaturesBesidePool3AreThoseAlone) {
  const std::vector<at::Tensor> images = {synthetic_image("beside", 0, 32, 32),
                                          synthetic_image("beside", 1, 40, 64)};
  const auto alone =
      outputs_of(*make_inception(synthetic_weights(), {.layer = InceptionLayer::kSpatial}), images);
  const auto pool3 = outputs_of(*make_inception(synthetic_weights()), images);
  const auto both = outputs_of(*make_inception(synthetic_weights(), {.spatial = true}), images);
  EXPECT_FALSE(pool3.spatial.defined());
  EXPECT_THAT(both.spatial, TensorEq(alone.features));
  EXPECT_THAT(both.features, TensorEq(pool3.features));
}

}  // namespace
}  // namespace ddpm_eval::metrics
