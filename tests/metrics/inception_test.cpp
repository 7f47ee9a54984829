#include "metrics/inception.h"

#include "metrics/extract.h"
#include "metrics/inception_layout.h"
#include "tests/support/errors.h"
#include "tests/support/inception_golden.h"
#include "tests/support/memory_source.h"
#include "tests/support/synthetic_inception.h"
#include "tests/support/tensor_matchers.h"

#include <cmath>
#include <limits>
#include <map>

#include <ATen/Parallel.h>

namespace ddpm_eval::metrics {
namespace {

using ::testing::HasSubstr;
using testing::inception_golden;
using testing::message_of;
using testing::synthetic_image;
using testing::TensorEq;
using testing::TensorNear;

const tensor::NamedTensors& weights() {
  static const auto all = testing::synthetic_inception_weights();
  return all;
}

/// The tensors alone are shared, so an entry can be replaced without touching the others.
tensor::NamedTensors with(const std::string& name, const at::Tensor& replacement) {
  auto changed = weights();
  for (auto& entry : changed) {
    if (entry.name == name) {
      entry.tensor = replacement;
    }
  }
  return changed;
}

tensor::NamedTensors without(const std::string& part) {
  auto changed = weights();
  std::erase_if(changed, [&](const auto& entry) { return entry.name.find(part) != std::string::npos; });
  return changed;
}

std::string failure(const tensor::NamedTensors& changed) {
  return message_of<core::DataError>([&] { make_inception(changed, {.origin = "inception.pth"}); });
}

TEST(Inception, HasTheNumbersOfThePublishedGraph) {
  int64_t units = 0;
  int64_t conv_weights = 0;
  int64_t channels = 0;
  for (const Block& block : inception_layout()) {
    for (const Branch& branch : block.branches) {
      for (const auto* list : {&branch.chain, &branch.fork}) {
        for (const Unit& unit : *list) {
          ++units;
          conv_weights += unit.out * unit.in * unit.kernel_h * unit.kernel_w;
          channels += unit.out;
        }
      }
    }
  }
  EXPECT_EQ(units, 94);
  EXPECT_EQ(conv_weights, 21'751'136);
  EXPECT_EQ(channels, 17'216);
  const auto specs = expected_inception_tensors();
  EXPECT_EQ(specs.size(), 566u);
  int64_t floats = 0;
  for (const auto& spec : specs) {
    floats += spec.dtype == at::kFloat ? c10::multiply_integers(spec.shape) : 0;
  }
  EXPECT_EQ(floats, 23'885'392);
}

TEST(Inception, NamesAndShapesAreThoseOfTheFile) {
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const auto& spec : expected_inception_tensors()) {
    shapes[spec.name] = spec.shape;
  }
  using Shape = std::vector<int64_t>;
  EXPECT_EQ(shapes.at("Conv2d_1a_3x3.conv.weight"), (Shape{32, 3, 3, 3}));
  EXPECT_EQ(shapes.at("Conv2d_4a_3x3.bn.running_var"), (Shape{192}));
  EXPECT_EQ(shapes.at("Mixed_5b.branch_pool.conv.weight"), (Shape{32, 192, 1, 1}));
  EXPECT_EQ(shapes.at("Mixed_6b.branch7x7dbl_5.conv.weight"), (Shape{192, 128, 1, 7}));
  EXPECT_EQ(shapes.at("Mixed_6d.branch7x7_3.conv.weight"), (Shape{192, 160, 7, 1}));
  EXPECT_EQ(shapes.at("Mixed_7a.branch7x7x3_4.conv.weight"), (Shape{192, 192, 3, 3}));
  EXPECT_EQ(shapes.at("Mixed_7c.branch3x3dbl_3b.conv.weight"), (Shape{384, 384, 3, 1}));
  EXPECT_EQ(shapes.at("Mixed_7b.branch1x1.bn.num_batches_tracked"), Shape{});
  EXPECT_EQ(shapes.at("fc.weight"), (Shape{1008, 2048}));
}

TEST(Inception, AMissingTensorIsNamed) {
  const auto message = failure(without("Mixed_6c.branch7x7_2.bn.running_mean"));
  EXPECT_THAT(message, HasSubstr("inception.pth: tensor 'Mixed_6c.branch7x7_2.bn.running_mean' is missing"));
}

TEST(Inception, ASuperfluousTensorIsNamed) {
  auto changed = weights();
  changed.push_back({"Mixed_8a.conv.weight", at::zeros({1})});
  EXPECT_THAT(failure(changed), HasSubstr("'Mixed_8a.conv.weight' is not part of"));
  changed.back().name = "AuxLogits.fc.bias";
  EXPECT_THAT(failure(changed), HasSubstr("torchvision"));
}

TEST(Inception, ATensorOfAnotherShapeOrTypeIsNamed) {
  const auto message = failure(with("Mixed_5b.branch1x1.conv.weight", at::zeros({64, 191, 1, 1})));
  EXPECT_THAT(message, HasSubstr("'Mixed_5b.branch1x1.conv.weight' is float32 [64, 191, 1, 1]"));
  EXPECT_THAT(message, HasSubstr("[64, 192, 1, 1] is needed"));
  EXPECT_THAT(failure(with("fc.bias", at::zeros({1008}, at::kHalf))),
              HasSubstr("'fc.bias' is float16 [1008]"));
  EXPECT_THAT(failure(with("fc.weight", at::Tensor())), HasSubstr("'fc.weight' is nothing"));
}

TEST(Inception, TheClassifierOfTorchvisionIsRecognised) {
  EXPECT_THAT(failure(with("fc.weight", at::zeros({1000, 2048}))), HasSubstr("torchvision's weights"));
}

TEST(Inception, WeightsThatAreNotFiniteAreRefused) {
  for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    const at::Tensor values = at::ones({80});
    values[79] = bad;
    EXPECT_THAT(failure(with("Conv2d_3b_1x1.bn.bias", values)),
                HasSubstr("'Conv2d_3b_1x1.bn.bias' holds NaN or infinity"));
  }
  EXPECT_THAT(failure(with("Conv2d_3b_1x1.bn.running_var", at::full({80}, -1.0))),
              HasSubstr("'Conv2d_3b_1x1.bn.running_var' has a negative variance"));
}

TEST(Inception, TheCountersMayBeAbsentAndOtherWeightsGetANote) {
  const auto net =
      make_inception(without("num_batches_tracked"), {.weights_sha256 = "00", .origin = "mine.pth"});
  EXPECT_EQ(net->info().name, "inception-v3-fid");
  EXPECT_EQ(net->info().preset, "torch-fidelity");
  EXPECT_EQ(net->info().weights_sha256, "00");
  EXPECT_EQ(net->info().dim, 2048);
  EXPECT_EQ(net->info().classes, 1008);
  EXPECT_THAT(net->info().note, HasSubstr("mine.pth is not the published FID Inception"));
  const auto published = make_inception(
      weights(), {.weights_sha256 = std::string(kPublishedInceptionSha256), .origin = "p.pth"});
  EXPECT_EQ(published->info().note, "");
}

TEST(Inception, PreparesToTheRangeOfThePreset) {
  const at::Tensor extremes =
      at::tensor({0, 255}, at::kByte).view({2, 1, 1, 1}).expand({2, 3, 5, 4}).contiguous();
  const auto range = [&](const char* preset) {
    const at::Tensor x = make_inception(weights(), {.preset = find_preset(preset)})->prepare(extremes);
    EXPECT_EQ(x.sizes(), (std::vector<int64_t>{2, 3, 299, 299}));
    return std::pair(x.min().item<float>(), x.max().item<float>());
  };
  EXPECT_EQ(range("torch-fidelity"), std::pair(-1.0f, 127.0f / 128));
  EXPECT_EQ(range("pytorch-fid"), std::pair(-1.0f, 1.0f));
  EXPECT_EQ(range("clean-fid"), std::pair(-1.0f, 127.0f / 128));
  EXPECT_EQ(range("clean-fid-legacy-pytorch"), std::pair(-1.0f, 1.0f));
}

// The rest runs the network: about a second per batch.

TEST(SlowInception, TheSyntheticWeightsAreThoseOfTheGoldenValues) {
  core::Sha256 digest;
  for (const auto& [name, tensor] : weights()) {
    if (tensor.scalar_type() == at::kFloat) {
      digest.update(tensor.data_ptr(), tensor.nbytes());
    }
  }
  EXPECT_EQ(digest.finish(), inception_golden()["weights_sha256"].get<std::string>());
}

std::vector<at::Tensor> golden_images(const nlohmann::json& cases) {
  std::vector<at::Tensor> images;
  for (const auto& one : cases) {
    images.push_back(synthetic_image("case", static_cast<int64_t>(images.size()), one["height"], one["width"],
                                     one["noise"]));
    EXPECT_EQ(testing::sha256_of(images.back()), one["sha256"].get<std::string>());
  }
  return images;
}

NetOutput run(const FeatureNet& net, const std::vector<at::Tensor>& images, int64_t chunk = 64) {
  testing::MemorySource source(images, chunk);
  std::vector<at::Tensor> features;
  std::vector<at::Tensor> logits;
  extract(source, net, [&](const NetOutput& output) {
    features.push_back(output.features);
    logits.push_back(output.logits);
  });
  return {at::cat(features), at::cat(logits)};
}

class InceptionGolden : public ::testing::TestWithParam<const char*> {};

TEST_P(InceptionGolden, FeaturesAgreeWithTheTool) {
  const auto golden = inception_golden();
  const auto& cases = golden["cases"];
  const auto net = make_inception(weights(), {.preset = find_preset(GetParam())});
  const NetOutput output = run(*net, golden_images(cases));
  for (size_t i = 0; i < cases.size(); ++i) {
    const auto& want = cases[i][GetParam()];
    const at::Tensor row = output.features[static_cast<int64_t>(i)].to(at::kDouble);
    const double norm = want["norm"];
    // The issue asks for 1e-4 of the norm over all 2048 entries; what is met is a hundred times tighter.
    EXPECT_NEAR(row.norm().item<double>(), norm, 1e-6 * norm);
    EXPECT_NEAR(row.sum().item<double>(), want["sum"].get<double>(), 1e-5 * norm);
    EXPECT_THAT(row.slice(0, 0, row.numel(), golden["feature_step"].get<int64_t>()),
                TensorNear(testing::to_tensor(want["values"]), 1e-6 * norm));
    if (GetParam() == std::string("torch-fidelity")) {
      const at::Tensor logits = output.logits[static_cast<int64_t>(i)].to(at::kDouble);
      EXPECT_THAT(logits.slice(0, 0, logits.numel(), golden["logit_step"].get<int64_t>()),
                  TensorNear(testing::to_tensor(cases[i]["logits"]["values"]),
                             1e-6 * cases[i]["logits"]["norm"].get<double>()));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(SlowPresets, InceptionGolden, ::testing::Values("torch-fidelity", "pytorch-fid"));

TEST(SlowInception, AnImageHasTheSameFeaturesWhereverItStands) {
  const auto net = make_inception(weights());
  std::vector<at::Tensor> images;
  for (int64_t i = 0; i < net->micro_batch() + 1; ++i) {
    images.push_back(synthetic_image("order", i, i % 4 == 0 ? 40 : 32, 32));
  }
  const at::Tensor forwards = run(*net, images).features;
  std::reverse(images.begin(), images.end());
  EXPECT_THAT(run(*net, images, /*chunk=*/3).features.flip(0), TensorEq(forwards));
}

TEST(SlowInception, ThreadsChangeNothing) {
  std::vector<at::Tensor> images;
  for (int64_t i = 0; i < 5; ++i) {
    images.push_back(synthetic_image("threads", i, 32, 32));
  }
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const auto alone = run(*make_inception(weights()), images);
  at::set_num_threads(3);
  const auto shared = run(*make_inception(weights()), images);
  at::set_num_threads(before);
  EXPECT_THAT(shared.features, TensorEq(alone.features));
  EXPECT_THAT(shared.logits, TensorEq(alone.logits));
}

TEST(SlowInception, BFloat16LosesDigitsButNoMore) {
  std::vector<at::Tensor> images;
  for (int64_t i = 0; i < 8; ++i) {
    images.push_back(synthetic_image("rounded", i, 32, 32));
  }
  const auto exact = run(*make_inception(weights()), images);
  const auto net = make_inception(weights(), {.precision = tensor::Precision::kBFloat16});
  const auto rounded = run(*net, images);
  EXPECT_EQ(net->info().precision, tensor::Precision::kBFloat16);
  EXPECT_EQ(rounded.features.scalar_type(), at::kFloat);
  // 94 layers of 8 bits: some thousandths of the norm (0.004 with AVX-512's instructions).
  for (const auto& [got, want] :
       {std::pair(rounded.features, exact.features), std::pair(rounded.logits, exact.logits)}) {
    const double error = ((got - want).norm() / want.norm()).item<double>();
    EXPECT_GT(error, 1e-4);
    EXPECT_LT(error, 1e-2);
  }
  std::reverse(images.begin(), images.end());
  EXPECT_THAT(run(*net, images, /*chunk=*/3).features.flip(0), TensorEq(rounded.features));
}

}  // namespace
}  // namespace ddpm_eval::metrics
