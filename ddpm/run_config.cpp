#include "ddpm/run_config.h"

#include "base/core/error.h"
#include "base/data/points.h"
#include "ddpm/choice.h"

#include <algorithm>

namespace ddpm_eval::ddpm {
namespace {

const Words<NetworkKind> kNetworkWords = {
    {"unet", NetworkKind::kUNet}, {"mlp", NetworkKind::kMlp}, {"gated-mlp", NetworkKind::kGatedMlp}};

constexpr int64_t kMaxScored = 10'000'000;

/// Whether a source is a made-up set of points.
bool is_of_points(const std::string& source) {
  const auto& kinds = data::point_kinds();
  return std::find(kinds.begin(), kinds.end(), source.substr(0, source.find('?'))) != kinds.end();
}

void at_least(const char* key, int64_t value, int64_t least) {
  if (value < least) {
    throw core::UsageError(core::Key{key}, "{} is below {}", value, least);
  }
}

}  // namespace

std::string network_word(NetworkKind kind) { return word_of(kNetworkWords, kind); }

void DataConfig::fields(core::ConfigVisitor& v) {
  v.value("source", source);
  v.value("points", points);
  v.value("standardise", standardise);
}

void ModelConfig::fields(core::ConfigVisitor& v) {
  choice(v, "kind", kind, kNetworkWords);
  v.section("unet", unet);
  v.section("mlp", mlp);
  v.section("gated_mlp", gated_mlp);
}

void TrainConfig::fields(core::ConfigVisitor& v) {
  v.value("seed", seed);
  v.value("batch_size", batch_size);
  choice(v, "precision", precision, tensor::precision_words());
  v.value("flip", flip);
  v.value("grid_every", grid_every);
  v.value("grid_samples", grid_samples);
  v.value("tensorboard", tensorboard);
  loop.fields(v);
}

void ScoreConfig::fields(core::ConfigVisitor& v) {
  v.value("every", every);
  v.choice("metric", metric, {"auto", "frechet_distance", "sliced_wasserstein_distance", "energy_distance"});
  v.value("num", num);
  v.value("real", real);
  v.value("features", features);
  v.value("preset", preset);
  v.value("seed", seed);
  v.value("report_seed", report_seed);
}

void ScoreConfig::validate(bool points, int64_t steps) const {
  at_least("score.every", every, 0);
  if (every == 0) {
    return;
  }
  if (every > steps) {
    throw core::UsageError(core::Key{"score.every"},
                           "{} is above train.steps = {}, so that nothing would be scored", every, steps);
  }
  if (num < 2) {
    throw core::UsageError(core::Key{"score.num"},
                           "{}: a score needs to be told its number of samples, 2 at least", num);
  }
  if (num > kMaxScored) {
    throw core::UsageError(core::Key{"score.num"}, "{} is above {}, far more than any score is taken of", num,
                           kMaxScored);
  }
  if (real.empty()) {
    throw core::UsageError(core::Key{"score.real"},
                           "names no reference; a score needs a source to compare with");
  }
  at_least("score.seed", seed, 0);
  at_least("score.report_seed", report_seed, 0);
  if (seed == report_seed) {
    throw core::UsageError(core::Key{"score.report_seed"},
                           "{} is score.seed too; what the best weights were chosen by would flatter them",
                           report_seed);
  }
  if (metric != "auto" && points == (metric == "frechet_distance")) {
    throw core::UsageError(
        core::Key{"score.metric"}, "'{}' is for {}; use 'auto' or {}", metric, points ? "images" : "points",
        points ? "'sliced_wasserstein_distance' or 'energy_distance'" : "'frechet_distance'");
  }
  if (points && !(features.empty() && preset.empty())) {
    throw core::UsageError(core::Key{features.empty() ? "score.preset" : "score.features"},
                           "points are compared without features; leave it out");
  }
}

void RunConfig::fields(core::ConfigVisitor& v) {
  v.section("data", data);
  v.section("model", model);
  v.section("process", process);
  v.section("objective", objective);
  v.section("train", train);
  v.section("sample", sample);
  v.section("score", score);
}

void RunConfig::validate() const {
  if (data.source.empty()) {
    throw core::UsageError(core::Key{"data.source"}, "names no data set");
  }
  if (const bool points = is_of_points(data.source); points != model.is_for_points()) {
    throw core::UsageError(core::Key{"model.kind"}, "'{}' is for {}, and data.source '{}' has {}; use {}",
                           network_word(model.kind), points ? "images" : "points", data.source,
                           points ? "points" : "images", points ? "'mlp' or 'gated-mlp'" : "'unet'");
  }
  at_least("data.points", data.points, 1);
  at_least("train.seed", train.seed, 0);
  at_least("train.batch_size", train.batch_size, 1);
  at_least("train.grid_every", train.grid_every, 0);
  at_least("train.grid_samples", train.grid_samples, 1);
  train.loop.validate("train");
  train.loop.require_divides(train.batch_size, "train");
  objective.validate(DiffusionProcess(make_betas(process)));
  sample.validate(process.steps, objective.parameterisation);
  score.validate(model.is_for_points(), train.loop.steps);
  if (model.is_for_points()) {
    if (train.flip) {
      throw core::UsageError(core::Key{"train.flip"}, "points cannot be mirrored; set it to false");
    }
    for (const auto& [key, precision] :
         {std::pair("train.precision", train.precision), std::pair("sample.precision", sample.precision)}) {
      if (precision != tensor::Precision::kFloat32) {
        throw core::UsageError(core::Key{key}, "networks for points have 'float32' alone");
      }
    }
    if (sample.clip) {
      throw core::UsageError(core::Key{"sample.clip"}, "points are not confined to [-1, 1]; set it to false");
    }
  }
}

std::vector<std::string> RunConfig::resumable_keys() const {
  auto keys = train.loop.resumable_keys("train");
  for (const char* key : {"train.grid_every",
                          "train.grid_samples",
                          "train.tensorboard",
                          "sample.sampler",
                          "sample.steps",
                          "sample.spacing",
                          "sample.eta",
                          "sample.hat_sigma",
                          "sample.variance",
                          "sample.clip",
                          "sample.dynamic_threshold",
                          "sample.rederive",
                          "sample.precision",
                          "sample.rounding",
                          "sample.weights",
                          "sample.micro_batch",
                          "score.every",
                          "score.metric",
                          "score.num",
                          "score.real",
                          "score.features",
                          "score.preset",
                          "score.seed",
                          "score.report_seed"}) {
    keys.emplace_back(key);
  }
  return keys;
}

RunConfig read_run_config(core::ConfigTree& tree) {
  RunConfig config;
  core::read_config(tree, config);
  core::named_as_given(tree, [&] { config.validate(); });
  return config;
}

}  // namespace ddpm_eval::ddpm
