#include "eval/foreign_model.h"

#include "base/core/digest.h"
#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/data/npz.h"
#include "base/data/safetensors.h"
#include "base/tensor/noise.h"
#include "ddpm/chain.h"
#include "ddpm/interchange/names.h"
#include "ddpm/model_factory.h"
#include "tests/support/environment.h"
#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tensor_matchers.h"

#include <fstream>

#include <gmock/gmock.h>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using testing::message_of;
using testing::TempDir;
using testing::TensorEq;

constexpr const char* kWeights = "diffusion_pytorch_model.safetensors";

/// The folder of tools/golden/make_diffusers.py; another one of its making if the environment names it.
fs::path golden_folder() {
  const char* folder = ::getenv("DDPM_EVAL_DIFFUSERS_FOLDER");
  return folder != nullptr ? fs::path(folder) : testing::source_dir() / "tests/golden/diffusers";
}

ddpm::Model network_of(const ForeignModel& foreign) {
  return ddpm::restore_model({.parameters = foreign.weights.averaged,
                              .buffers = {{"data.shape", torch::tensor(foreign.row_shape, torch::kInt64)}},
                              .config_json = core::config_to_json(foreign.config),
                              .sha256 = {}},
                             "imported");
}

/// A folder with the golden model's files, each in the place named.
void lay_out(const fs::path& folder, const std::string& network, const std::string& scheduler,
             const std::string& weights) {
  for (const auto& [name, place] :
       {std::pair{"config.json", network}, {"scheduler_config.json", scheduler}, {kWeights, weights}}) {
    fs::create_directories(folder / place);
    fs::copy_file(testing::source_dir() / "tests/golden/diffusers" / name, folder / place / name);
  }
}

double largest_difference(const at::Tensor& found, const at::Tensor& wanted) {
  return ((found.to(torch::kFloat64) - wanted).abs().max() / wanted.abs().max()).item<double>();
}

TEST(ForeignModel, GivesDiffusersOutput) {
  const auto model = network_of(read_foreign_model({.source = golden_folder()}));
  const data::NpzReader golden(golden_folder() / "outputs.npz");
  const at::NoGradGuard no_grad;
  const auto output = model.network->forward(golden.read("x_t"), golden.read("t"));
  const double difference = largest_difference(output, golden.read("output"));
  RecordProperty("largest_relative_difference", fmt::format("{:.3g}", difference));
  EXPECT_LT(difference, 1e-5);
}

TEST(ForeignModel, GivesDiffusersOutputAtTheEndOfADdimChain) {
  auto foreign = read_foreign_model({.source = golden_folder()});
  const auto model = network_of(foreign);
  const data::NpzReader golden(golden_folder() / "outputs.npz");
  auto options = foreign.config.sample;
  options.sampler = ddpm::Sampler::kDdim;
  options.rederive = false;
  const auto part =
      model.process.sub_chain(ddpm::spaced_steps(ddpm::Spacing::kLeading, model.process.steps(), 4));
  const ddpm::SamplingModel parts{*model.network, model.process, model.parameterisation};
  const at::NoGradGuard no_grad;
  ddpm::Chain chain(parts, part, options, {0, 1}, golden.read("x_t"));
  for (int64_t i = part.steps(); i-- > 0;) {
    chain.step(i);
  }
  const double difference = largest_difference(chain.x(), golden.read("ddim"));
  RecordProperty("largest_relative_difference", fmt::format("{:.3g}", difference));
  EXPECT_LT(difference, 1e-4);
}

TEST(ForeignModel, FilesAreFoundAtTheRootAndBelow) {
  const auto wanted = read_foreign_model({.source = testing::source_dir() / "tests/golden/diffusers"});
  const TempDir dir;
  lay_out(dir / "pipeline", "unet", "scheduler", "unet");
  lay_out(dir / "mixed", ".", "scheduler", "unet");
  for (const char* name : {"pipeline", "mixed"}) {
    const auto found = read_foreign_model({.source = dir / name});
    EXPECT_EQ(core::config_to_json(found.config), core::config_to_json(wanted.config));
    for (size_t i = 0; i < wanted.weights.averaged.size(); ++i) {
      EXPECT_THAT(found.weights.averaged[i].tensor, TensorEq(wanted.weights.averaged[i].tensor));
    }
  }
}

TEST(ForeignModel, AnOldFolderHasTheSameWeights) {
  const auto golden = testing::source_dir() / "tests/golden/diffusers";
  const auto wanted = read_foreign_model({.source = golden});
  const TempDir dir;
  lay_out(dir.path(), ".", ".", ".");
  fs::remove(dir / kWeights);
  fs::copy_file(golden / "old_spelling.bin", dir / "diffusion_pytorch_model.bin");
  const auto found = read_foreign_model({.source = dir.path()});
  ASSERT_EQ(found.weights.averaged.size(), wanted.weights.averaged.size());
  for (size_t i = 0; i < wanted.weights.averaged.size(); ++i) {
    EXPECT_EQ(found.weights.averaged[i].name, wanted.weights.averaged[i].name);
    EXPECT_THAT(found.weights.averaged[i].tensor, TensorEq(wanted.weights.averaged[i].tensor));
  }
}

TEST(ForeignModel, TheOriginNamesFilesByContentAndNoPlaces) {
  const auto golden = testing::source_dir() / "tests/golden/diffusers";
  const TempDir dir;
  lay_out(dir / "model", ".", ".", ".");
  const auto origin = read_foreign_model({.source = dir / "model/"}).origin;
  EXPECT_EQ(origin["name"], "model");
  EXPECT_EQ(origin["layout"], "diffusers");
  ASSERT_EQ(origin["files"].size(), 3U);
  EXPECT_EQ(origin["files"][0]["name"], kWeights);
  EXPECT_EQ(origin["files"][0]["sha256"], core::sha256_of_file(golden / kWeights));
  EXPECT_EQ(origin["files"][2]["name"], "scheduler_config.json");
  EXPECT_EQ(origin.dump().find(dir.path().string()), std::string::npos);
}

TEST(ForeignModel, WhatAFolderLacksIsNamed) {
  const TempDir dir;
  const auto refusal = [&](const ImportRequest& request) {
    return message_of<core::DataError>([&] { read_foreign_model(request); });
  };
  EXPECT_THAT(refusal({.source = dir.path()}), EndsWith("has no config.json, nor has its folder unet"));
  lay_out(dir.path(), "unet", ".", "unet");
  fs::remove(dir / "unet" / kWeights);
  EXPECT_THAT(
      refusal({.source = dir.path()}),
      EndsWith("has no diffusion_pytorch_model.safetensors or diffusion_pytorch_model.bin, nor has its "
               "folder unet"));
  fs::copy_file(testing::source_dir() / "tests/golden/diffusers" / kWeights, dir / kWeights);
  fs::rename(dir / "scheduler_config.json", dir / "my.json");
  EXPECT_THAT(refusal({.source = dir.path()}),
              EndsWith("has no scheduler_config.json, nor has its folder scheduler"));
  EXPECT_EQ(read_foreign_model({.source = dir.path(), .scheduler = dir / "my.json"}).row_shape[1], 8);
  EXPECT_THAT(refusal({.source = dir / "none"}), EndsWith("none: there is no such file or folder"));
}

TEST(ForeignModel, AConfigurationThatCannotBeBuiltNamesItsFile) {
  const TempDir dir;
  lay_out(dir.path(), ".", ".", ".");
  const auto refusal = [&](const char* file, const char* key, const nlohmann::json& value) {
    const auto text = core::read_text(dir / file);
    auto json = nlohmann::json::parse(text);
    json[key] = value;
    std::ofstream(dir / file) << json;
    const auto message = message_of<core::DataError>([&] { read_foreign_model({.source = dir.path()}); });
    std::ofstream(dir / file) << text;
    return message;
  };
  EXPECT_THAT(refusal("config.json", "norm_num_groups", 3),
              HasSubstr("config.json: norm_num_groups: 3 groups"));
  EXPECT_THAT(refusal("config.json", "layers_per_block", 2),
              EndsWith("tensor 'down_blocks.0.resnets.1.norm1.weight' is missing"));
  EXPECT_THAT(refusal("scheduler_config.json", "num_train_timesteps", 0),
              HasSubstr("scheduler_config.json: num_train_timesteps: 0 is not"));
}

TEST(ForeignModel, FilesOfWeightsNeedTheirConfigurationAndSide) {
  const TempDir dir;
  const auto golden = read_foreign_model({.source = testing::source_dir() / "tests/golden/diffusers"});
  std::ofstream(dir / "small.toml") << "[model.unet]\nbase_channels = 8\nmultipliers = [1, 2]\nres_blocks = "
                                       "1\nattention_resolutions = [4]\n"
                                       "groups = 4\n[process]\nsteps = 20\n";
  const auto config = (dir / "small.toml").string();
  data::write_safetensors(dir / "port.safetensors", golden.weights.averaged);
  tensor::NamedTensors variables;
  for (const auto& [name, values] : golden.weights.averaged) {
    const auto matrix = values.dim() == 4 && values.size(2) == 1 ? values.flatten(1) : values;
    const auto variable = matrix.dim() == 4   ? matrix.permute({2, 3, 1, 0})
                          : matrix.dim() == 2 ? matrix.t()
                                              : matrix;
    variables.push_back({ddpm::tensorflow_name(name), variable.contiguous()});
  }
  data::write_npz(dir / "variables.npz", variables);
  for (const auto& [file, layout] :
       {std::pair{"port.safetensors", "pytorch-port"}, {"variables.npz", "tensorflow"}}) {
    const auto found =
        read_foreign_model({.source = dir / file, .config = config, .side = 8, .data = "cifar10:train"});
    EXPECT_EQ(found.origin["layout"], layout);
    EXPECT_EQ(found.config.process.steps, 20);
    EXPECT_EQ(found.config.data.source, "cifar10:train");
    for (size_t i = 0; i < golden.weights.averaged.size(); ++i) {
      EXPECT_THAT(found.weights.averaged[i].tensor, TensorEq(golden.weights.averaged[i].tensor));
    }
  }
  const auto refusal = [&](const ImportRequest& request) {
    return message_of<core::UsageError>([&] { read_foreign_model(request); });
  };
  const auto file = dir / "port.safetensors";
  EXPECT_THAT(refusal({.source = file}), HasSubstr("name the configuration with --config"));
  EXPECT_THAT(refusal({.source = file, .config = config}), HasSubstr("name it with --side"));
  EXPECT_THAT(refusal({.source = file, .scheduler = "s.json", .config = config}),
              HasSubstr("--scheduler s.json: is for a folder"));
  EXPECT_THAT(refusal({.source = dir.path(), .config = config}), HasSubstr("leave this out"));
  for (const int64_t side : {0, 65'537}) {
    EXPECT_THAT(refusal({.source = file, .config = config, .side = side}),
                HasSubstr("is not within 1..65536"));
  }
  EXPECT_THAT(message_of<core::UsageError>(
                  [&] { read_foreign_model({.source = file, .config = config, .side = 7}); }),
              HasSubstr("small.toml: model.unet.multipliers: images of side 7"));
}

}  // namespace
}  // namespace ddpm_eval::eval
