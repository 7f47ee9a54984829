#include "ddpm/run_config.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "ddpm/model_factory.h"
#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::ddpm {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::message_of;

RunConfig shipped(const std::string& name) {
  auto tree = core::ConfigTree::from_file((testing::source_dir() / "configs" / name).string());
  return read_run_config(tree);
}

RunConfig parse(const std::string& toml) {
  auto tree = core::ConfigTree::from_text(toml, "c.toml");
  return read_run_config(tree);
}

std::string refusal(const std::string& toml) {
  return message_of<core::UsageError>([&] { parse(toml); });
}

TEST(RunConfig, Cifar10HasThePapersValues) {
  const auto config = shipped("cifar10.toml");
  EXPECT_EQ(config.data.source, "cifar10:train");
  EXPECT_EQ(config.train.batch_size, 128);
  EXPECT_EQ(config.train.loop.steps, 800'000);
  EXPECT_EQ(config.train.loop.learning_rate, 2e-4);
  EXPECT_EQ(config.train.loop.ema_decay, 0.9999);
  EXPECT_TRUE(config.train.flip);
  EXPECT_EQ(config.model.unet.dropout, 0.1);
  EXPECT_EQ(config.objective.parameterisation.variance, ModelVariance::kFixedLarge);
  const auto model = make_model(config, {3, 32, 32});
  EXPECT_EQ(count_elements(model.network->parameters()), 35'746'307);
  EXPECT_NEAR(std::sqrt(model.process.tables().alpha_bar.back()), 0.00635282, 5e-9);
}

TEST(RunConfig, Cifar10ConfigIsTheDefault) {
  RunConfig defaults;
  defaults.train.grid_every = 5000;
  defaults.score.num = 5000;
  defaults.score.real = "cifar10:train";
  EXPECT_EQ(core::config_to_json(defaults), core::config_to_json(shipped("cifar10.toml")));
}

void add_keys(const nlohmann::json& json, const std::string& path, std::set<std::string>& keys) {
  for (const auto& [key, value] : json.items()) {
    const auto full = path.empty() ? key : path + "." + key;
    if (value.is_object()) {
      add_keys(value, full, keys);
    } else {
      keys.insert(full);
    }
  }
}

TEST(RunConfig, EveryKeyIsInAConfigurationThatIsShipped) {
  std::set<std::string> keys;
  add_keys(nlohmann::json::parse(core::config_to_json(RunConfig())), "", keys);
  EXPECT_GT(keys.size(), 60U);
  const std::regex section(R"(\[([a-z_.]+)\].*)"), assignment(R"(([a-z_0-9]+) *=.*)");
  for (const auto& entry : std::filesystem::directory_iterator(testing::source_dir() / "configs")) {
    const std::string text = core::read_text(entry.path());
    if (text.find("\nconfig = ") != std::string::npos) {
      continue;  // an ablation grid, whose keys are others
    }
    std::istringstream file(text);
    std::string inside;
    std::smatch match;
    for (std::string line; std::getline(file, line);) {
      if (std::regex_match(line, match, section)) {
        inside = match.str(1);
      } else if (std::regex_match(line, match, assignment)) {
        keys.erase(inside + "." + match.str(1));
      }
    }
  }
  EXPECT_THAT(keys, ::testing::IsEmpty());
}

TEST(RunConfig, FashionMnistSmallBuilds) {
  const auto config = shipped("fashion-mnist-small.toml");
  const auto model = make_model(config, {1, 28, 28});
  EXPECT_LT(count_elements(model.network->parameters()), 2'000'000);
  EXPECT_EQ(config.sample.sampler, Sampler::kDdim);
  EXPECT_LE(config.sample.steps, 50);
  EXPECT_LE(config.train.loop.steps, 1200);  // five minutes on two cores
  EXPECT_TRUE(config.train.loop.ema_ramp);
}

TEST(RunConfig, FashionMnistWithTwoHundredStepsEndsInNoise) {
  const auto config = shipped("fashion-mnist-t200.toml");
  const auto model = make_model(config, {1, 28, 28});
  EXPECT_EQ(model.process.steps(), 200);
  EXPECT_NEAR(model.process.tables().alpha_bar.back(), 3.03184e-5, 1e-9);
}

TEST(RunConfig, SwissRollEndsInNoise) {
  const auto config = shipped("swiss-roll.toml");
  const auto model = make_model(config, {2});
  EXPECT_NEAR(model.process.tables().alpha_bar.back(), 2.04e-5, 5e-8);
  EXPECT_EQ(prior_mismatch(model.process, 1), "");
  EXPECT_TRUE(config.data.standardise);
}

TEST(RunConfig, TheNotebooksSwissRollEndsFarFromNoise) {
  const auto config = shipped("swiss-roll-notebook.toml");
  const auto model = make_model(config, {2});
  EXPECT_NEAR(model.process.tables().alpha_bar.back(), 0.605, 5e-4);
  EXPECT_EQ(count_elements(model.network->parameters()), 3 * 128 + 2 * 129 * 128 + 3 * 100 * 128 + 129 * 2);
  // The points' standard deviations are 0.664 and 0.697; 0.778 * 0.681 is 0.529.
  const auto warning = prior_mismatch(model.process, 0.681);
  EXPECT_THAT(warning, HasSubstr("alpha_bar_T = 0.605,"));
  EXPECT_THAT(warning, HasSubstr("0.778 * 0.681 = 0.53 of the data"));
  EXPECT_FALSE(config.data.standardise);
  EXPECT_EQ(config.data.points, 10'000);
  EXPECT_EQ(config.objective.t_sampling, TSampling::kAntithetic);
  EXPECT_EQ(config.sample.weights, SampleWeights::kLast);
  EXPECT_EQ(config.train.loop.ema_decay, 0.9);
}

TEST(RunConfig, TheNotebooksLikelihoodModelGivesMeanAndVariance) {
  const auto config = shipped("swiss-roll-notebook-likelihood.toml");
  const auto model = make_model(config, {2});
  EXPECT_EQ(count_elements(model.network->parameters()), 3 * 128 + 129 * 128 + 2 * 100 * 128 + 129 * 4);
  EXPECT_NEAR(model.process.tables().alpha_bar.back(), 0.605, 5e-4);
  EXPECT_EQ(config.objective.parameterisation.prediction, Prediction::kMuTilde);
  EXPECT_EQ(config.objective.loss, Loss::kBoundSum);
}

TEST(RunConfig, EchoReadsBack) {
  for (const char* name :
       {"cifar10.toml", "fashion-mnist-small.toml", "fashion-mnist-t200.toml", "swiss-roll.toml",
        "swiss-roll-notebook.toml", "swiss-roll-notebook-likelihood.toml"}) {
    const auto json = core::config_to_json(shipped(name));
    auto tree = core::ConfigTree::from_json(json, "stored");
    EXPECT_EQ(core::config_to_json(read_run_config(tree)), json);
  }
}

TEST(RunConfig, LoopKeysStandInTrain) {
  const auto config = parse("[train]\nsteps = 5\nbatch_size = 2\nwarmup_steps = 0\n");
  EXPECT_EQ(config.train.loop.steps, 5);
  EXPECT_EQ(config.train.batch_size, 2);
}

TEST(RunConfig, SlipsNameTheKey) {
  EXPECT_EQ(refusal("[train]\nbatchsize = 2\n"),
            "c.toml: unknown key 'train.batchsize'; did you mean 'batch_size'?");
  EXPECT_THAT(refusal("[model]\nkind = 'unett'\n"), HasSubstr("model.kind: 'unett'"));
  EXPECT_THAT(refusal("[model.unet]\nmultipliers = 2\n"), HasSubstr("model.unet.multipliers"));
  EXPECT_THAT(refusal("[process]\nkind = 'cosin'\n"), HasSubstr("did you mean 'cosine'?"));
  EXPECT_THAT(refusal("[process]\nsteps = 0\n"), HasSubstr("process.steps: 0"));
  EXPECT_THAT(refusal("[process]\nkind = 'jsd'\n"), HasSubstr("alpha_bar_T is 0"));
  EXPECT_THAT(refusal("[sample]\nsteps = 2000\n"), HasSubstr("sample.steps: 2000 is not within 1..1000"));
  EXPECT_THAT(refusal("[train]\nbatch_size = 0\n"), HasSubstr("train.batch_size"));
  EXPECT_EQ(refusal("[train]\nbatch_size = 8\naccumulate = 3\n"),
            "c.toml: train.accumulate: 3 does not divide the batch size of 8");
  EXPECT_THAT(refusal("[train]\nseed = -1\n"), HasSubstr("train.seed"));
  EXPECT_THAT(refusal("[train]\nlearning_rate = 0\n"), HasSubstr("train.learning_rate"));
  EXPECT_THAT(refusal("[data]\nsource = ''\n"), HasSubstr("data.source"));
  EXPECT_THAT(refusal("[data]\nsource = 'moons'\n[model]\nkind = 'mlp'\n"), HasSubstr("train.flip"));
  EXPECT_THAT(refusal("[data]\nsource = 'moons'\n[model]\nkind = 'mlp'\n[train]\nflip = false\n"),
              HasSubstr("sample.clip"));
  EXPECT_THAT(refusal("[model]\nkind = 'gated-mlp'\n"),
              HasSubstr("c.toml: model.kind: 'gated-mlp' is for points"));
  EXPECT_THAT(refusal("[sample]\nweights = 'lst'\n"), HasSubstr("sample.weights: 'lst'"));
  const std::string points = "[data]\nsource = 'moons'\n[model]\nkind = 'mlp'\n[train]\nflip = false\n";
  EXPECT_THAT(refusal(points + "precision = 'bf16'\n[sample]\nclip = false\n"), HasSubstr("train.precision"));
  EXPECT_THAT(refusal(points + "[sample]\nclip = false\nprecision = 'bf16'\n"),
              HasSubstr("sample.precision"));
}

TEST(RunConfig, SamplingMayChangeWhenResumed) {
  EXPECT_THAT(RunConfig{}.resumable_keys(), Contains("sample.steps"));
  EXPECT_THAT(RunConfig{}.resumable_keys(), Contains("train.steps"));
  EXPECT_THAT(RunConfig{}.resumable_keys(), Contains("train.accumulate"));
  EXPECT_THAT(RunConfig{}.resumable_keys(), ::testing::Not(Contains("train.batch_size")));
}

}  // namespace
}  // namespace ddpm_eval::ddpm
