#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/tensor/noise.h"
#include "ddpm/interchange/names.h"
#include "ddpm/interchange/weights.h"
#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tensor_matchers.h"

#include <limits>
#include <map>
#include <sstream>

#include <gmock/gmock.h>

namespace ddpm_eval::ddpm {
namespace {

using ::testing::HasSubstr;
using testing::message_of;
using testing::TensorEq;

const UNetConfig kConfig{
    .base_channels = 8, .multipliers = {1, 2}, .res_blocks = 1, .attention_resolutions = {4}, .groups = 4};
const UNetShape kShape{.in_channels = 3, .out_channels = 3, .image_side = 8};

/// Our parameters, every tensor with its own values.
tensor::NamedTensors parameters(uint64_t seed = 0) {
  tensor::NamedTensors drawn;
  for (const auto& [name, values] : UNetLayout(kConfig, kShape).parameters) {
    const auto rows = tensor::index_range(0, values.size(0));
    drawn.push_back({name, tensor::normal_rows({seed, name}, rows, 0, values.sizes().slice(1))});
  }
  return drawn;
}

void expect_same(const tensor::NamedTensors& found, const tensor::NamedTensors& wanted) {
  ASSERT_EQ(found.size(), wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_EQ(found[i].name, wanted[i].name);
    EXPECT_THAT(found[i].tensor, TensorEq(wanted[i].tensor)) << wanted[i].name;
    EXPECT_TRUE(found[i].tensor.is_contiguous()) << wanted[i].name;
  }
}

ForeignWeights import(const tensor::NamedTensors& file) {
  return from_foreign(naming_of(file, "file"), file, UNetLayout(kConfig, kShape), "file");
}

std::string refusal(const tensor::NamedTensors& file) {
  return message_of<core::DataError>([&] { import(file); });
}

tensor::NamedTensor& named(tensor::NamedTensors& tensors, const std::string& name) {
  const auto found =
      std::find_if(tensors.begin(), tensors.end(), [&](const auto& t) { return t.name == name; });
  EXPECT_NE(found, tensors.end()) << name;
  return *found;
}

/// Our parameters as the variables of a TensorFlow checkpoint.
tensor::NamedTensors as_tensorflow(const tensor::NamedTensors& ours, const std::string& suffix = {}) {
  tensor::NamedTensors variables;
  for (const auto& [name, values] : ours) {
    at::Tensor variable = values;
    const bool one_by_one = values.dim() == 4 && values.size(2) == 1;
    if (one_by_one) {
      variable = values.view({values.size(0), values.size(1)}).t();
    } else if (values.dim() == 4) {
      variable = values.permute({2, 3, 1, 0});
    } else if (values.dim() == 2) {
      variable = values.t();
    }
    variables.push_back({tensorflow_name(name) + suffix, variable.contiguous()});
  }
  return variables;
}

TEST(InterchangeWeights, DiffusersNamesOfTheCifar10NetworkAreAllThere) {
  std::istringstream lines(
      core::read_text(testing::source_dir() / "tests/golden/diffusers/cifar10_names.txt"));
  std::map<std::string, std::vector<int64_t>> golden;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    auto& shape = golden[name];
    for (int64_t size = 0; words >> size;) {
      shape.push_back(size);
    }
  }
  ASSERT_EQ(golden.size(), 328U);
  const UNetLayout layout({}, {});
  std::map<std::string, std::vector<int64_t>> ours;
  for (const auto& [name, values] : to_diffusers(layout.parameters, layout.levels)) {
    ours[name] = values.sizes().vec();
  }
  EXPECT_EQ(ours, golden);
}

TEST(InterchangeWeights, TheLayoutIsThatOfTheNetworkItself) {
  const UNet network(kConfig, kShape, ParameterMaker(0));
  const UNetLayout layout(kConfig, kShape);
  ASSERT_EQ(layout.parameters.size(), network.parameters().size());
  for (size_t i = 0; i < layout.parameters.size(); ++i) {
    EXPECT_EQ(layout.parameters[i].name, network.parameters()[i].name);
    EXPECT_EQ(layout.parameters[i].tensor.sizes(), network.parameters()[i].tensor.sizes());
  }
}

TEST(InterchangeWeights, NamesElsewhere) {
  EXPECT_EQ(diffusers_name("temb.dense.1.bias", 4), "time_embedding.linear_2.bias");
  EXPECT_EQ(diffusers_name("up.0.block.2.nin_shortcut.weight", 4),
            "up_blocks.3.resnets.2.conv_shortcut.weight");
  EXPECT_EQ(diffusers_name("mid.attn_1.proj_out.weight", 4), "mid_block.attentions.0.to_out.0.weight");
  EXPECT_EQ(old_diffusers_name("up.1.attn.2.k.bias", 4), "up_blocks.2.attentions.2.key.bias");
  EXPECT_EQ(old_diffusers_name("norm_out.bias", 4), "conv_norm_out.bias");
  const std::map<std::string, std::string> tensorflow = {
      {"temb.dense.0.weight", "model/temb/dense0/W"},
      {"conv_in.bias", "model/conv_in/b"},
      {"down.1.block.0.norm2.weight", "model/down_1/block_0/norm2/gamma"},
      {"down.1.block.0.temb_proj.weight", "model/down_1/block_0/temb_proj/W"},
      {"down.2.downsample.conv.weight", "model/down_2/downsample/conv/W"},
      {"mid.block_2.conv1.bias", "model/mid/block_2/conv1/b"},
      {"mid.attn_1.norm.bias", "model/mid/attn_1/norm/beta"},
      {"up.3.attn.1.proj_out.weight", "model/up_3/attn_1/proj_out/W"},
      {"norm_out.weight", "model/norm_out/gamma"}};
  for (const auto& [ours, theirs] : tensorflow) {
    EXPECT_EQ(tensorflow_name(ours), theirs);
  }
}

TEST(InterchangeWeights, DiffusersRoundTrip) {
  const auto ours = parameters();
  const auto file = to_diffusers(ours, 2);
  EXPECT_EQ(tensor::find(file, "mid_block.attentions.0.to_q.weight").dim(), 2);
  const auto back = import(file);
  expect_same(back.averaged, ours);
  EXPECT_TRUE(back.last.empty());
  EXPECT_TRUE(back.notes.empty());
}

TEST(InterchangeWeights, BothSpellingsAndRanksOfAttention) {
  const auto ours = parameters();
  for (const bool as_convolution : {false, true}) {
    tensor::NamedTensors file;
    for (const auto& [name, values] : ours) {
      const bool flat = !as_convolution && name.find("attn") != std::string::npos && values.dim() == 4;
      file.push_back({old_diffusers_name(name, 2), flat ? values.flatten(1) : values});
    }
    EXPECT_TRUE(tensor::find(file, "down_blocks.1.attentions.0.proj_attn.weight").defined());
    expect_same(import(file).averaged, ours);
  }
}

TEST(InterchangeWeights, ThePortsNamesAreOurs) {
  const auto ours = parameters();
  EXPECT_EQ(naming_of(ours, "file"), Naming::kPort);
  expect_same(import(ours).averaged, ours);
}

TEST(InterchangeWeights, TensorFlowsVariables) {
  const auto ours = parameters();
  auto file = as_tensorflow(ours);
  EXPECT_EQ(tensor::find(file, "model/conv_in/W").sizes(), (at::IntArrayRef{3, 3, 3, 8}));
  EXPECT_EQ(tensor::find(file, "model/down_1/block_0/nin_shortcut/W").sizes(), (at::IntArrayRef{8, 16}));
  const auto plain = import(file);
  expect_same(plain.averaged, ours);
  EXPECT_TRUE(plain.last.empty());
  EXPECT_THAT(plain.notes, ::testing::ElementsAre(HasSubstr("no averages in the file")));
  EXPECT_EQ(input_channels(Naming::kTensorFlow, file, "file"), 3);
  for (auto& variable : file) {
    variable.name += ":0";  // as a graph has them
  }
  expect_same(import(file).averaged, ours);
}

TEST(InterchangeWeights, TensorFlowsShadowsAreTheAverages) {
  const auto last = parameters(1), averaged = parameters(2);
  auto file = as_tensorflow(last);
  for (const auto& shadow : as_tensorflow(averaged, "/ExponentialMovingAverage")) {
    file.push_back(shadow);
  }
  for (const char* slot : {"/Adam", "/Adam_1"}) {
    for (const auto& variable : as_tensorflow(parameters(3), slot)) {
      file.push_back(variable);
    }
  }
  file.push_back({"beta1_power", torch::tensor(0.0F)});
  file.push_back({"global_step", torch::tensor(int64_t{790'000})});
  const auto found = import(file);
  expect_same(found.averaged, averaged);
  expect_same(found.last, last);
  EXPECT_EQ(found.step, 790'000);
  EXPECT_THAT(found.notes, ::testing::ElementsAre(HasSubstr("of Adam's state are left out")));
  named(file, "model/conv_out/b/ExponentialMovingAverage").name = "model/conv_out/more";
  EXPECT_EQ(refusal(file), "file: tensor 'model/conv_out/b/ExponentialMovingAverage' is missing");
}

TEST(InterchangeWeights, HalfPrecisionIsWidenedAndDoubleRefused) {
  auto file = to_diffusers(parameters(), 2);
  auto& bias = named(file, "conv_out.bias");
  const auto exact = bias.tensor;
  for (const auto type : {torch::kFloat16, torch::kBFloat16}) {
    bias.tensor = exact.to(type);
    EXPECT_THAT(tensor::find(import(file).averaged, "conv_out.bias"),
                TensorEq(exact.to(type).to(torch::kFloat32)));
  }
  bias.tensor = exact.to(torch::kFloat64);
  EXPECT_EQ(refusal(file), "file: tensor 'conv_out.bias' is float64 [3] where float32 [3] is needed");
}

TEST(InterchangeWeights, MissingLeftOverMisshapenOrDamaged) {
  const auto whole = to_diffusers(parameters(), 2);
  auto file = whole;
  named(file, "up_blocks.0.attentions.1.to_k.weight").name = "up_blocks.0.attentions.1.to_kk.weight";
  EXPECT_EQ(refusal(file), "file: tensor 'up_blocks.0.attentions.1.to_k.weight' is missing");
  file = whole;
  file.push_back({"class_embedding.weight", torch::zeros({10, 32})});
  EXPECT_EQ(refusal(file), "file: tensor 'class_embedding.weight' is not part of this network");
  file = whole;
  file.push_back({"mid_block.attentions.0.query.weight", torch::zeros({16, 16})});  // beside to_q
  EXPECT_EQ(refusal(file), "file: tensor 'mid_block.attentions.0.query.weight' is not part of this network");
  file = whole;
  file.push_back(whole[0]);
  EXPECT_THAT(refusal(file), HasSubstr("file: there are two tensors '"));
  file = whole;
  named(file, "mid_block.attentions.0.to_v.weight").tensor = torch::zeros({16, 8});
  EXPECT_EQ(refusal(file),
            "file: tensor 'mid_block.attentions.0.to_v.weight' is float32 [16, 8] where float32 [16, 16] is "
            "needed");
  file = whole;
  named(file, "conv_in.weight").tensor = torch::full({8, 3, 3, 3}, std::numeric_limits<float>::quiet_NaN());
  EXPECT_EQ(refusal(file), "file: tensor 'conv_in.weight' holds NaN or infinity");
  auto variables = as_tensorflow(parameters());
  named(variables, "model/conv_in/W").tensor = torch::zeros({8, 3, 3, 3});  // not HWIO
  EXPECT_EQ(refusal(variables),
            "file: tensor 'model/conv_in/W' is float32 [8, 3, 3, 3] where float32 [3, 3, 3, 8] is needed");
  EXPECT_THAT(refusal({{"input_blocks.0.0.weight", torch::zeros({1})}}),
              HasSubstr("file: no tensor has a name of the official U-Net"));
}

}  // namespace
}  // namespace ddpm_eval::ddpm
