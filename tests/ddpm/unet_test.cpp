#include "ddpm/unet.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/seeds.h"
#include "base/tensor/noise.h"
#include "base/tensor/onednn_convolution.h"
#include "ddpm/layers.h"
#include "ddpm/time_embedding.h"
#include "tests/support/errors.h"
#include "tests/support/hashes.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tensor_matchers.h"

#include <cmath>
#include <set>
#include <sstream>

#include <ATen/Parallel.h>
#include <gmock/gmock.h>

namespace ddpm_eval::ddpm {
namespace {

using ::testing::HasSubstr;
using testing::message_of;
using testing::TensorEq;
using testing::TensorNear;

UNetConfig small_config() {
  return {.base_channels = 16,
          .multipliers = {1, 2},
          .res_blocks = 1,
          .attention_resolutions = {4},
          .dropout = 0.5,
          .groups = 4};
}

constexpr UNetShape kSmallShape{.in_channels = 1, .out_channels = 1, .image_side = 8};

at::Tensor images(int64_t n, int64_t channels, int64_t side, int64_t step = 0) {
  return tensor::normal_rows({5, "test.images"}, tensor::index_range(0, n), step, {channels, side, side});
}

at::Tensor steps(int64_t n) { return torch::arange(n, torch::kInt64) * 37; }

/// The weights and inputs of tools/golden/make_unet.py: uniform on [-1, 1) from the name and the position.
at::Tensor hashed(const std::string& name, at::IntArrayRef shape) {
  const uint64_t start = testing::fnv1a(name);
  at::Tensor values = torch::empty(shape, torch::kFloat32);
  auto* data = values.data_ptr<float>();
  for (int64_t i = 0; i < values.numel(); ++i) {
    const uint64_t bits = core::mix64(start + static_cast<uint64_t>(i)) >> 40;
    data[i] = 2 * static_cast<float>(bits) * 0x1p-24F - 1;
  }
  return values;
}

/// Weights that make every layer matter, the near-zero ones among them.
void set_hashed_weights(const DiffusionNetwork& network) {
  const at::NoGradGuard no_grad;
  for (const auto& [name, parameter] : network.parameters()) {
    const auto values = hashed(name, parameter.sizes());
    const bool is_norm = name.find("norm") != std::string::npos;
    const double fan_in = parameter.numel() / static_cast<double>(parameter.size(0));
    const bool is_bias = parameter.dim() == 1;
    parameter.copy_(is_bias ? 0.1 * values + (is_norm && name.ends_with("weight") ? 1.0 : 0.0)
                            : values * std::sqrt(3 / fan_in));
  }
}

at::Tensor golden_numbers(const std::string& name) {
  std::istringstream lines(core::read_text(testing::source_dir() / "tests/golden" / name));
  std::string comment;
  std::getline(lines, comment);
  std::vector<double> numbers;
  for (double number = 0; lines >> number;) {
    numbers.push_back(number);
  }
  return torch::tensor(numbers, torch::kFloat64);
}

TEST(UNet, ForwardEqualsTheGoldenOne) {
  const UNet network({.base_channels = 32, .multipliers = {1, 2}, .attention_resolutions = {4}, .groups = 8},
                     {.in_channels = 3, .out_channels = 3, .image_side = 8}, ParameterMaker(0));
  set_hashed_weights(network);
  const at::NoGradGuard no_grad;
  const auto output = network.forward(hashed("x_t", {2, 3, 8, 8}), torch::tensor({7, 911}, torch::kInt64))
                          .to(torch::kFloat64);
  const auto want = golden_numbers("unet_forward.txt").view({2, 3, 8, 8});
  EXPECT_LT(((output - want).norm() / want.norm()).item<double>(), 1e-6);
  EXPECT_THAT(output, TensorNear(want, 1e-5 * want.abs().max().item<double>()));
}

TEST(UNet, PreparedIsTheSameFunction) {
  const UNet network({.base_channels = 32, .multipliers = {1, 2}, .attention_resolutions = {4}, .groups = 8},
                     {.in_channels = 3, .out_channels = 3, .image_side = 8}, ParameterMaker(0));
  set_hashed_weights(network);
  const at::NoGradGuard no_grad;
  const auto x = images(7, 3, 8);
  const auto want = network.forward(x, steps(7));
  for (const auto precision : {tensor::Precision::kFloat32, tensor::Precision::kBFloat16}) {
    const auto prepared = network.prepare(precision);
    const auto got = prepared->forward(x, steps(7));
    const double error = ((got - want).norm() / want.norm()).item<double>();
    EXPECT_EQ(got.scalar_type(), torch::kFloat32);
    if (precision == tensor::Precision::kFloat32) {
      EXPECT_LT(error, 2e-6);
    } else {
      EXPECT_LT(error, 0.03);
      EXPECT_GT(error, 1e-4);  // it is not float32 in disguise
    }
  }
}

TEST(UNet, RowsOfAPreparedNetworkDependOnNothingElse) {
  if (!tensor::onednn::available()) {
    GTEST_SKIP() << "LibTorch's own convolutions choose by the number of rows";
  }
  const UNet network({.base_channels = 32, .multipliers = {1, 2}, .attention_resolutions = {4}, .groups = 8},
                     {.in_channels = 3, .out_channels = 3, .image_side = 8}, ParameterMaker(0));
  set_hashed_weights(network);
  const at::NoGradGuard no_grad;
  const auto x = images(11, 3, 8);
  for (const auto precision : {tensor::Precision::kFloat32, tensor::Precision::kBFloat16}) {
    const auto prepared = network.prepare(precision);
    const auto whole = prepared->forward(x, steps(11));
    for (const int64_t count : {1, 2, 3, 4, 6}) {
      EXPECT_THAT(prepared->forward(x.narrow(0, 3, count), steps(11).narrow(0, 3, count)),
                  TensorEq(whole.narrow(0, 3, count)))
          << count;
    }
    const int threads = at::get_num_threads();
    at::set_num_threads(1);
    EXPECT_THAT(prepared->forward(x, steps(11)), TensorEq(whole));
    at::set_num_threads(threads);
  }
}

TEST(UNet, Bfloat16GradientsAreNearThoseOfFloat32) {
  const UNet network(small_config(), kSmallShape, ParameterMaker(0));
  set_hashed_weights(network);
  const auto gradient = [&](tensor::Precision precision) {
    network.forward(images(4, 1, 8), steps(4), TrainingPass{1, 2, 0, precision}).pow(2).mean().backward();
    std::vector<at::Tensor> parts;
    for (const auto& [name, parameter] : network.parameters()) {
      EXPECT_EQ(parameter.grad().scalar_type(), torch::kFloat32) << name;
      parts.push_back(parameter.grad().flatten());
      at::Tensor(parameter).mutable_grad() = at::Tensor();
    }
    return torch::cat(parts);
  };
  const auto exact = gradient(tensor::Precision::kFloat32);
  const auto rounded = gradient(tensor::Precision::kBFloat16);
  const double error = ((rounded - exact).norm() / exact.norm()).item<double>();
  EXPECT_LT(error, 0.05);
  EXPECT_GT(error, 1e-4);
  EXPECT_THAT(gradient(tensor::Precision::kBFloat16), TensorEq(rounded));
}

TEST(UNet, Cifar10HasThePapersParameters) {
  const UNet network({}, {}, ParameterMaker(0));
  EXPECT_EQ(count_elements(network.parameters()), 35'746'307);
  ASSERT_EQ(network.parameters().size(), 328U);
  std::set<std::string> names;
  for (const auto& [name, parameter] : network.parameters()) {
    names.insert(name);
    EXPECT_TRUE(parameter.requires_grad() && parameter.is_leaf() && parameter.is_contiguous()) << name;
  }
  EXPECT_EQ(names.size(), 328U);
  const auto shape = [&](const char* name) { return tensor::find(network.parameters(), name).sizes().vec(); };
  using Shape = std::vector<int64_t>;
  EXPECT_EQ(shape("temb.dense.0.weight"), (Shape{512, 128}));
  EXPECT_EQ(shape("conv_in.weight"), (Shape{128, 3, 3, 3}));
  EXPECT_EQ(shape("down.0.block.0.norm1.weight"), (Shape{128}));
  EXPECT_EQ(shape("down.1.block.0.nin_shortcut.weight"), (Shape{256, 128, 1, 1}));
  EXPECT_EQ(shape("down.1.attn.1.q.weight"), (Shape{256, 256, 1, 1}));
  EXPECT_EQ(shape("down.2.downsample.conv.weight"), (Shape{256, 256, 3, 3}));
  EXPECT_EQ(shape("mid.attn_1.proj_out.bias"), (Shape{256}));
  EXPECT_EQ(shape("up.3.block.2.conv1.weight"), (Shape{256, 512, 3, 3}));
  EXPECT_EQ(shape("up.1.block.2.nin_shortcut.weight"), (Shape{256, 384, 1, 1}));
  EXPECT_EQ(shape("up.0.block.1.conv1.weight"), (Shape{128, 256, 3, 3}));
  EXPECT_EQ(shape("up.1.upsample.conv.weight"), (Shape{256, 256, 3, 3}));
  EXPECT_EQ(shape("conv_out.bias"), (Shape{3}));
}

TEST(UNet, PublishedSizesOfOtherConfigurations) {
  const auto size = [](const UNetConfig& config, const UNetShape& shape) {
    return count_elements(UNet(config, shape, ParameterMaker(0)).parameters());
  };
  EXPECT_EQ(size({}, {.in_channels = 1, .out_channels = 1}), 35'741'697);
  EXPECT_EQ(size({}, {.out_channels = 6}), 35'749'766);
  EXPECT_EQ(size({.res_blocks = 3}, {}), 47'217'027);
}

TEST(UNet, OutputHasTheInputsShape) {
  const at::NoGradGuard no_grad;
  const UNet fashion(
      {.base_channels = 8, .multipliers = {1, 2, 2}, .attention_resolutions = {7}, .groups = 4},
      {.in_channels = 1, .out_channels = 1, .image_side = 28}, ParameterMaker(0));
  EXPECT_EQ(fashion.forward(images(2, 1, 28), steps(2)).sizes(), (at::IntArrayRef{2, 1, 28, 28}));
  const UNet colour(
      {.base_channels = 8, .multipliers = {1, 1, 1, 1}, .attention_resolutions = {}, .groups = 4},
      {.in_channels = 3, .out_channels = 6, .image_side = 32}, ParameterMaker(0));
  EXPECT_EQ(colour.forward(images(2, 3, 32), steps(2)).sizes(), (at::IntArrayRef{2, 6, 32, 32}));
}

TEST(UNet, StartsNearZeroAndWithinGlorotsBounds) {
  const UNet network(small_config(), kSmallShape, ParameterMaker(0));
  const at::NoGradGuard no_grad;
  // conv_out: |w| <= sqrt(6e-10 / ((16 + 1) 9)), and 144 of them meet a normalised input.
  EXPECT_LT(network.forward(images(2, 1, 8), steps(2)).abs().max().item<double>(), 1e-3);
  const auto bound = [&](const char* name) {
    return tensor::find(network.parameters(), name).abs().max().item<double>();
  };
  EXPECT_LE(bound("conv_out.weight"), std::sqrt(6e-10 / (17 * 9)));
  EXPECT_GT(bound("conv_out.weight"), 0.9 * std::sqrt(6e-10 / (17 * 9)));
  EXPECT_LE(bound("mid.block_1.conv2.weight"), std::sqrt(6e-10 / (64 * 9)));
  EXPECT_LE(bound("mid.attn_1.proj_out.weight"), std::sqrt(6e-10 / 64));
  EXPECT_LE(bound("mid.block_1.conv1.weight"), std::sqrt(6.0 / (64 * 9)));
  EXPECT_GT(bound("mid.block_1.conv1.weight"), 0.99 * std::sqrt(6.0 / (64 * 9)));
  EXPECT_LE(bound("temb.dense.0.weight"), std::sqrt(6.0 / (16 + 64)));
  EXPECT_EQ(bound("temb.dense.0.bias"), 0);
  EXPECT_EQ(bound("norm_out.weight"), 1);
}

TEST(UNet, InitialWeightsDependOnSeedAndNameAlone) {
  auto deeper = small_config();
  deeper.res_blocks = 2;
  const UNet one(small_config(), kSmallShape, ParameterMaker(1));
  const UNet two(deeper, kSmallShape, ParameterMaker(1));
  const UNet other_seed(small_config(), kSmallShape, ParameterMaker(2));
  const char* name = "down.0.block.0.conv1.weight";
  EXPECT_THAT(tensor::find(two.parameters(), name), TensorEq(tensor::find(one.parameters(), name)));
  EXPECT_FALSE(
      torch::equal(tensor::find(other_seed.parameters(), name), tensor::find(one.parameters(), name)));
}

TEST(UNet, EveryParameterGetsAGradient) {
  const UNet network(small_config(), kSmallShape, ParameterMaker(0));
  set_hashed_weights(network);
  network.forward(images(2, 1, 8), steps(2), TrainingPass{}).pow(2).mean().backward();
  for (const auto& [name, parameter] : network.parameters()) {
    ASSERT_TRUE(parameter.grad().defined()) << name;
    // A key's bias shifts all of a query's scores alike, so softmax takes no notice.
    if (!name.ends_with(".k.bias")) {
      EXPECT_GT(parameter.grad().abs().max().item<double>(), 1e-7) << name;
    }
  }
}

TEST(UNet, DropoutIsKeyedByTheStepAndOffAtEvaluation) {
  const UNet network(small_config(), kSmallShape, ParameterMaker(0));
  set_hashed_weights(network);
  const at::NoGradGuard no_grad;
  const auto run = [&](const std::optional<TrainingPass>& pass) {
    return network.forward(images(2, 1, 8), steps(2), pass);
  };
  EXPECT_THAT(run(std::nullopt), TensorEq(run(std::nullopt)));
  EXPECT_THAT(run(TrainingPass{1, 5}), TensorEq(run(TrainingPass{1, 5})));
  EXPECT_FALSE(torch::equal(run(TrainingPass{1, 5}), run(std::nullopt)));
  EXPECT_FALSE(torch::equal(run(TrainingPass{1, 5}), run(TrainingPass{1, 6})));
  EXPECT_FALSE(torch::equal(run(TrainingPass{1, 5}), run(TrainingPass{2, 5})));
}

TEST(UNet, ImagesStayChannelsLast) {
  // Else one channel would silently fall back to the slow layout.
  const auto x = to_channels_last(images(2, 1, 8));
  EXPECT_EQ(x.suggest_memory_format(), torch::MemoryFormat::ChannelsLast);
  EXPECT_THAT(x, TensorEq(images(2, 1, 8)));
  EXPECT_EQ(upsample_nearest(x).suggest_memory_format(), torch::MemoryFormat::ChannelsLast);
}

TEST(UNet, HalvingPadsRightAndBottom) {
  ParameterMaker maker(0);
  auto conv = Conv::make(maker, "conv", 1, 1, 3);
  conv.stride = 2;
  const at::NoGradGuard no_grad;
  conv.weight.fill_(0);
  conv.weight[0][0][0][0] = 1;  // picks the top left of each window: the even positions themselves
  const auto x = images(1, 1, 4);
  EXPECT_THAT(conv(x), TensorEq(x.slice(2, 0, 4, 2).slice(3, 0, 4, 2)));
}

TEST(UNet, RefusesWhatCannotBeBuilt) {
  const auto refusal = [](UNetConfig config, UNetShape shape) {
    return message_of<core::UsageError>([&] { UNet(config, shape, ParameterMaker(0)); });
  };
  EXPECT_EQ(
      refusal({.attention_resolutions = {}}, {.image_side = 28}),
      "model.unet.multipliers: images of side 28 cannot be halved 3 times; 4 levels need a side divisible "
      "by 8");
  EXPECT_EQ(refusal({.attention_resolutions = {12}}, {}),
            "model.unet.attention_resolutions: no level has side 12; the levels have 32, 16, 8, 4");
  EXPECT_EQ(refusal({.base_channels = 48}, {}),
            "model.unet.groups: 32 groups do not divide 48 base channels");
  EXPECT_THAT(refusal({.multipliers = {}}, {}), HasSubstr("needs 1 to 12 levels, found 0"));
  EXPECT_THAT(refusal({.multipliers = {1, 0}}, {}), HasSubstr("multipliers: 0"));
  EXPECT_THAT(refusal({.base_channels = 0}, {}), HasSubstr("base_channels: 0"));
  EXPECT_THAT(refusal({.res_blocks = 0}, {}), HasSubstr("res_blocks: 0"));
  EXPECT_THAT(refusal({.dropout = 1}, {}), HasSubstr("dropout: 1"));
  EXPECT_THAT(refusal({.groups = 0}, {}), HasSubstr("groups: 0"));
}

TEST(TimeEmbedding, IsSinesThenCosines) {
  const auto t = torch::tensor({0, 1, 999}, torch::kInt64);
  const auto embedded = time_embedding(t, 128);
  ASSERT_EQ(embedded.sizes(), (at::IntArrayRef{3, 128}));
  for (int64_t row = 0; row < 3; ++row) {
    for (const int64_t i : {0, 1, 31, 63}) {
      const double angle = t[row].item<double>() * std::pow(10000.0, -double(i) / 63);
      EXPECT_NEAR(embedded[row][i].item<double>(), std::sin(angle), 1e-7);
      EXPECT_NEAR(embedded[row][64 + i].item<double>(), std::cos(angle), 1e-7);
    }
  }
}

}  // namespace
}  // namespace ddpm_eval::ddpm
