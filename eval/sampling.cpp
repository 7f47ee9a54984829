#include "eval/sampling.h"

#include "base/core/config.h"
#include "base/core/file_io.h"
#include "base/data/grid.h"
#include "base/data/image_codec.h"
#include "base/data/image_source.h"
#include "base/training/checkpoint.h"
#include "eval/training_data.h"

#include <cmath>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <torch/types.h>

namespace ddpm_eval::eval {

void add_last_weights_flag(CLI::App& command, SamplingRequest& request) {
  command.add_flag_callback(
      "--last-weights",
      [&request] {
        request.settings.push_back({"weights=last", "--last-weights"});
      },
      "The weights of the last step, whatever sample.weights of the run says");
}

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
  const bool ema = config.sample.weights == ddpm::SampleWeights::kEma;
  if (!ema) {
    saved = training::load_model_weights(request.run);
  }

  LoadedRun run{ddpm::restore_model(saved, origin), config.sample, {}, {}};
  run.prior_warning = ddpm::prior_mismatch(run.model.process, x_0_std(config, run.model));
  run.options.seed = request.seed;
  run.record = {{"run", origin},
                {"step", saved.step},
                {"weights", ema ? "ema" : "last"},
                {"checkpoint_sha256", saved.sha256},
                {"data", config.data.source},
                {"process", core::Json::parse(core::config_to_json(config.process))},
                {"objective", core::Json::parse(core::config_to_json(config.objective))},
                {"sampler", core::Json::parse(core::config_to_json(run.options))},
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
