#include "ddpm/run_config.h"

#include "base/core/error.h"
#include "ddpm/choice.h"
#include "ddpm/precision_words.h"

namespace ddpm_eval::ddpm {
namespace {

const Words<NetworkKind> kNetworkWords = {{"unet", NetworkKind::kUNet}, {"mlp", NetworkKind::kMlp}};

void at_least(const char* key, int64_t value, int64_t least) {
  if (value < least) {
    throw core::UsageError("{}: {} is below {}", key, value, least);
  }
}

}  // namespace

void DataConfig::fields(core::ConfigVisitor& v) {
  v.value("source", source);
  v.value("points", points);
  v.value("standardise", standardise);
}

void ModelConfig::fields(core::ConfigVisitor& v) {
  choice(v, "kind", kind, kNetworkWords);
  v.section("unet", unet);
  v.section("mlp", mlp);
}

void TrainConfig::fields(core::ConfigVisitor& v) {
  v.value("seed", seed);
  v.value("batch_size", batch_size);
  choice(v, "precision", precision, precision_words());
  v.value("flip", flip);
  v.value("grid_every", grid_every);
  v.value("grid_samples", grid_samples);
  loop.fields(v);
}

void RunConfig::fields(core::ConfigVisitor& v) {
  v.section("data", data);
  v.section("model", model);
  v.section("process", process);
  v.section("objective", objective);
  v.section("train", train);
  v.section("sample", sample);
}

void RunConfig::validate() const {
  if (data.source.empty()) {
    throw core::UsageError("data.source: names no data set");
  }
  at_least("data.points", data.points, 1);
  at_least("train.seed", train.seed, 0);
  at_least("train.batch_size", train.batch_size, 1);
  at_least("train.grid_every", train.grid_every, 0);
  at_least("train.grid_samples", train.grid_samples, 1);
  train.loop.validate("train");
  objective.validate(DiffusionProcess(make_betas(process)));
  sample.validate(process.steps, objective.parameterisation);
  if (model.kind == NetworkKind::kMlp) {
    if (train.flip) {
      throw core::UsageError("train.flip: points cannot be mirrored; set it to false");
    }
    for (const auto& [key, precision] :
         {std::pair("train.precision", train.precision), std::pair("sample.precision", sample.precision)}) {
      if (precision != tensor::Precision::kFloat32) {
        throw core::UsageError("{}: networks for points have 'float32' alone", key);
      }
    }
    if (sample.clip) {
      throw core::UsageError("sample.clip: points are not confined to [-1, 1]; set it to false");
    }
  }
}

std::vector<std::string> RunConfig::resumable_keys() const {
  auto keys = train.loop.resumable_keys("train");
  for (const char* key :
       {"train.grid_every", "train.grid_samples", "sample.sampler", "sample.steps", "sample.spacing",
        "sample.eta", "sample.hat_sigma", "sample.variance", "sample.clip", "sample.dynamic_threshold",
        "sample.rederive", "sample.precision", "sample.micro_batch"}) {
    keys.emplace_back(key);
  }
  return keys;
}

RunConfig read_run_config(core::ConfigTree& tree) {
  RunConfig config;
  core::read_config(tree, config);
  config.validate();
  return config;
}

}  // namespace ddpm_eval::ddpm
