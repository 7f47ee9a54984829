#include "eval/sampling.h"

#include "base/core/config.h"
#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/data/grid.h"
#include "base/data/image_codec.h"
#include "base/data/image_source.h"
#include "base/training/checkpoint.h"
#include "eval/training_data.h"

#include <cmath>

#include <nlohmann/json.hpp>
#include <torch/types.h>

namespace ddpm_eval::eval {
namespace {

/// Of the last step, or the averages that scored best while the run was trained.
training::SavedWeights load_other_weights(const std::filesystem::path& run, ddpm::SampleWeights which) {
  if (which == ddpm::SampleWeights::kLast) {
    return training::load_model_weights(run);
  }
  if (!std::filesystem::exists(run / training::kBestFile)) {
    throw core::DataError(
        "{}: has no best weights: nothing was scored while it was trained (section [score] of its "
        "configuration)",
        run.string());
  }
  return training::load_ema_weights(run, training::kBestFile);
}

}  // namespace

LoadedRun load_run(const SamplingRequest& request) {
  auto saved = training::load_ema_weights(request.run);
  const auto origin = request.run.string();
  auto config = ddpm::restore_config(saved, origin);

  core::ConfigTree tree;
  for (const auto& setting : request.settings) {
    tree.set(setting.assignment, setting.origin);
  }
  core::read_config(tree, config.sample);
  config.validate();
  if (config.sample.weights != ddpm::SampleWeights::kEma) {
    saved = load_other_weights(request.run, config.sample.weights);
  }

  LoadedRun run{ddpm::restore_model(saved, origin), config.sample, {}, {}};
  run.prior_warning = ddpm::prior_mismatch(run.model.process, x_0_std(config, run.model));
  run.options.seed = request.seed;
  const auto sampler = core::Json::parse(core::config_to_json(run.options));
  run.record = {{"run", origin},
                {"step", saved.step},
                {"weights", sampler.at("weights")},
                {"checkpoint_sha256", saved.sha256},
                {"data", config.data.source},
                {"process", core::Json::parse(core::config_to_json(config.process))},
                {"objective", core::Json::parse(core::config_to_json(config.objective))},
                {"sampler", sampler},
                {"seed", request.seed}};
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
