#include "eval/sampling.h"

#include "base/core/config.h"
#include "base/core/digest.h"
#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/text.h"
#include "base/data/grid.h"
#include "base/data/image_codec.h"
#include "base/data/image_source.h"
#include "base/training/checkpoint.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>
#include <torch/types.h>

namespace ddpm_eval::eval {

namespace {

const std::vector<std::string>& weight_words() {
  static const std::vector<std::string> words = {"ema", "last", "best"};  // in the order of Weights
  return words;
}

training::SavedWeights load_weights(const SamplingRequest& request) {
  if (request.weights == Weights::kLast) {
    return training::load_model_weights(request.run);
  }
  const auto* file = weights_file(request.weights);
  if (request.weights == Weights::kBest && training::has_checkpoint(request.run) &&
      !std::filesystem::exists(request.run / file)) {
    throw core::DataError(
        "{}: has no best weights: nothing was scored while it was trained (section [score] of its "
        "configuration)",
        request.run.string());
  }
  return training::load_ema_weights(request.run, file);
}

}  // namespace

Weights weights_of(const std::string& word, const std::string& origin) {
  const auto& words = weight_words();
  const auto found = std::find(words.begin(), words.end(), word);
  if (found == words.end()) {
    throw core::UsageError("{}: '{}' is not one of {}", origin, word, core::join_or(words));
  }
  return static_cast<Weights>(found - words.begin());
}

const char* weights_file(Weights weights) {
  return weights == Weights::kBest ? training::kBestFile : training::kCheckpointFile;
}

LoadedRun load_run(const SamplingRequest& request) {
  const auto saved = load_weights(request);
  const auto origin = request.run.string();
  auto config = ddpm::restore_config(saved, origin);

  core::ConfigTree tree;
  for (const auto& setting : request.settings) {
    tree.set(setting.assignment, setting.origin);
  }
  core::read_config(tree, config.sample);
  config.validate();

  LoadedRun run{ddpm::restore_model(saved, origin), config.sample, {}};
  run.options.seed = request.seed;
  run.record = {{"run", origin},
                {"step", saved.step},
                {"weights", weight_words().at(static_cast<size_t>(request.weights))},
                {"checkpoint_sha256", core::sha256_of_file(request.run / weights_file(request.weights))},
                {"data", config.data.source},
                {"process", core::Json::parse(core::config_to_json(config.process))},
                {"objective", core::Json::parse(core::config_to_json(config.objective))},
                {"sampler", core::Json::parse(core::config_to_json(run.options))},
                {"seed", request.seed},
                {"rounding", "to nearest"}};
  if (!saved.imported_from.empty()) {
    run.record["origin"] = core::Json::parse(saved.imported_from);
    if (saved.step == 0) {
      run.record["step"] = nullptr;  // not known
    }
  }
  return run;
}

at::Tensor as_rgb(const at::Tensor& images_u8) { return data::as_rgb(images_u8); }

void write_grid(const std::filesystem::path& target, const at::Tensor& images_u8) {
  const auto columns = static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(images_u8.size(0)))));
  const auto png = data::encode_png(data::image_grid(images_u8, columns));
  core::write_file(target, {png.data(), png.size()});
}

}  // namespace ddpm_eval::eval
