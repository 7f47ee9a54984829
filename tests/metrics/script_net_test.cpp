#include "metrics/script_net.h"

#include "base/core/error.h"
#include "base/data/tensor_source.h"
#include "metrics/extract.h"
#include "metrics/filter_resample.h"
#include "metrics/resample.h"
#include "tests/support/errors.h"
#include "tests/support/script_files.h"
#include "tests/support/synthetic_inception.h"
#include "tests/support/tensor_matchers.h"

#include <new>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <torch/types.h>

namespace ddpm_eval::metrics {
namespace {

using ::testing::HasSubstr;
using testing::message_of;
using testing::script_bytes;
using testing::synthetic_images;
using testing::TensorEq;
using testing::TensorNear;

std::unique_ptr<FeatureNet> net_of(const std::string& forward, std::optional<ScriptConvention> convention =
                                                                   find_script_convention("dinov2")) {
  const auto bytes = script_bytes(forward);
  return make_script_net(bytes, {"net", "net.pt", "a digest", std::move(convention)});
}

std::string data_error(const std::string& forward,
                       const ScriptConvention& convention = find_script_convention("dinov2")) {
  return message_of<core::DataError>([&] { net_of(forward, convention); });
}

at::Tensor extracted(const FeatureNet& net, const at::Tensor& images) {
  std::vector<at::Tensor> parts;
  extract(*data::make_tensor_source("images", images), net,
          [&](const NetOutput& output) { parts.push_back(output.features.clone()); });
  return at::cat(parts);
}

TEST(ScriptNet, GivesWhatItsFunctionGives) {
  const auto net = net_of(testing::kPoolNet);
  EXPECT_EQ(net->info().name, "net");
  EXPECT_EQ(net->info().weights_sha256, "a digest");
  EXPECT_EQ(net->info().preset, "dinov2");
  EXPECT_EQ(net->info().dim, 48);
  EXPECT_EQ(net->info().classes, 0);
  const auto images = synthetic_images("script", net->micro_batch(), 40, 60);
  const auto input = net->prepare(images);
  EXPECT_THAT(net->forward(input).features,
              TensorEq(at::adaptive_avg_pool2d(input.contiguous(), {4, 4}).flatten(1)));
}

/// The last micro-batch is filled up, and no image has other features for it.
TEST(ScriptNet, AnImageHasTheSameFeaturesWhereverItStands) {
  const auto net = net_of(testing::kPoolNet);
  const auto images = synthetic_images("script", net->micro_batch() + 3, 30, 30);
  const auto all = extracted(*net, images);
  EXPECT_EQ(all.size(0), images.size(0));
  EXPECT_THAT(extracted(*net, images.narrow(0, net->micro_batch(), 3)),
              TensorEq(all.narrow(0, net->micro_batch(), 3)));
}

TEST(ScriptNet, ConventionsAreWhatTheirToolsDo) {
  const auto images = synthetic_images("script", 2, 70, 70);
  const auto standard = [](const at::Tensor& x, const std::vector<float>& mean,
                           const std::vector<float>& deviation) {
    return (x - torch::tensor(mean).view({3, 1, 1})) / torch::tensor(deviation).view({3, 1, 1});
  };
  const auto prepared = [&](const char* name) {
    return net_of(testing::kPoolNet, find_script_convention(name))->prepare(images);
  };
  const auto bytes = resample_pillow_bicubic_of_bytes(images, 224, 224);
  EXPECT_THAT(prepared("dinov2"),
              TensorNear(standard(bytes / 255, {0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}), 1e-6));
  EXPECT_THAT(prepared("clip"), TensorNear(standard(bytes / 255, {0.48145466f, 0.4578275f, 0.40821073f},
                                                    {0.26862954f, 0.26130258f, 0.27577711f}),
                                           1e-6));
  EXPECT_THAT(prepared("vgg16"), TensorNear(standard(resample_tf1_bilinear(images, 224, 224) / 255,
                                                     {0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}),
                                            1e-5));
  ScriptConvention signed_range{
      .size = 50, .resampler = Resampler::kAntialiasedBilinear, .range = ScriptRange::kSigned};
  EXPECT_THAT(net_of(testing::kPoolNet, signed_range)->prepare(images),
              TensorNear(resample_antialiased_bilinear(images, 50, 50) / 127.5 - 1, 1e-6));
  EXPECT_THAT(message_of<core::DataError>([&] {
                net_of(testing::kPoolNet, find_script_convention("clip"))->prepare(images.narrow(3, 0, 60));
              }),
              HasSubstr("an image is 60 x 70 pixels, and clip takes square ones"));
  EXPECT_THAT(message_of<core::UsageError>([] { find_script_convention("dinov3"); }),
              HasSubstr("there is no convention 'dinov3'; did you mean 'dinov2'?"));
}

TEST(ScriptNet, NvidiasSignatureIsKnown) {
  const auto net = net_of(testing::kNvidiaNet, std::nullopt);
  EXPECT_EQ(net->info().preset, "nvidia-inception");
  EXPECT_EQ(nlohmann::json::parse(net->info().convention)["call"], "return_features");
  const auto images = synthetic_images("script", net->micro_batch(), 299, 299);
  const auto wanted = at::adaptive_avg_pool2d((images.to(at::kFloat) - 128) / 128, {2, 2}).flatten(1);
  EXPECT_THAT(net->forward(net->prepare(images)).features, TensorNear(wanted, 1e-6));
  EXPECT_THAT(data_error(testing::kPoolNet, find_script_convention("nvidia-inception")),
              HasSubstr("its forward() takes no return_features"));
  EXPECT_THAT(
      message_of<core::UsageError>([] { net_of(testing::kPoolNet, std::nullopt); }),
      HasSubstr("say what the network is given, by --convention dinov2, clip, vgg16, nvidia-inception"));
}

TEST(ScriptNet, AnOutputIsChosenByItsName) {
  const std::string dictionary = R"(
def forward(self, images):
    pooled = torch.flatten(torch.adaptive_avg_pool2d(images, [1, 1]), 1)
    return {"map": images, "pooled": pooled}
)";
  auto convention = find_script_convention("dinov2");
  EXPECT_THAT(data_error(dictionary), HasSubstr("net.pt: gives map, pooled; name one as output"));
  convention.output = "pooled";
  EXPECT_EQ(net_of(dictionary, convention)->info().dim, 3);
  convention.output = "1";
  EXPECT_EQ(net_of(R"(
def forward(self, images):
    return images, torch.flatten(torch.adaptive_avg_pool2d(images, [1, 2]), 1)
)",
                   convention)
                ->info()
                .dim,
            6);
  EXPECT_THAT(data_error(dictionary, convention), HasSubstr("gives map, pooled and no tensor 1"));
}

TEST(ScriptNet, WhatIsNoFeatureNetworkIsRefused) {
  const std::string text = "no archive";
  EXPECT_THAT(message_of<core::DataError>([&] {
                make_script_net(text, {"net", "net.pt", "", find_script_convention("clip")});
              }),
              HasSubstr("net.pt: is no TorchScript file"));
  EXPECT_THAT(
      data_error("def forward(self, images):\n    return images\n"),
      HasSubstr(
          "net.pt: gives float32 [8, 3, 224, 224] of 8 images, where features are floating point [8, d]"));
  EXPECT_THAT(data_error("def forward(self, images):\n    return torch.flatten(images, 1).argmax(1, True)\n"),
              HasSubstr("gives int64 [8, 1] of 8 images"));
  EXPECT_THAT(data_error("def forward(self, images):\n    return images.mean([2, 3])[0:3]\n"),
              HasSubstr("gives 3 rows of 8 images"));
  EXPECT_THAT(
      data_error("def forward(self, images):\n    return torch.log(images.mean([2, 3]) * 0.0 - 1.0)\n"),
      HasSubstr("gives NaN or infinity of ordinary images under the convention dinov2"));
  EXPECT_THAT(data_error("def forward(self, images):\n    return torch.flatten(images, 1)\n"),
              HasSubstr("gives 150528 features an image"));
  EXPECT_THAT(data_error("def forward(self, images):\n    return images.view([5, 7])\n"),
              HasSubstr("net.pt: fails on images [8, 3, 224, 224]: "));
  EXPECT_THAT(data_error("def forward(self, images):\n    return 3\n"),
              HasSubstr("gives Int, where a tensor is needed"));
  const auto other_batch = HasSubstr("gives an image other features when it is asked again");
  EXPECT_THAT(data_error("def forward(self, images):\n    return images.mean([2, 3]).cumsum(0)\n"),
              other_batch);
  EXPECT_THAT(
      data_error("def forward(self, images):\n    return torch.dropout(images.mean([2, 3]), 0.5, True)\n"),
      other_batch);
}

/// The interpreter throws what operators throw as another type.
TEST(ScriptNet, MemoryThatRunsOutIsNoFaultOfTheFile) {
  EXPECT_THROW(net_of(testing::kHugeNet), std::bad_alloc);
}

}  // namespace
}  // namespace ddpm_eval::metrics
