#include "eval/sampling.h"

#include "base/core/config.h"
#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/data/grid.h"
#include "base/data/image_codec.h"
#include "base/tensor/noise.h"
#include "base/tensor/process_group.h"
#include "base/training/checkpoint.h"
#include "ddpm/trajectory.h"
#include "eval/training_data.h"

#include <algorithm>
#include <cmath>

#include <c10/util/accumulate.h>
#include <nlohmann/json.hpp>
#include <torch/types.h>

namespace ddpm_eval::eval {
namespace {

constexpr const char* kVisited = "visited";

training::SavedWeights load_weights(const std::filesystem::path& run,
                                    const training::CheckpointHeader& header, const ddpm::RunConfig& config) {
  switch (config.sample.weights) {
    case ddpm::SampleWeights::kEma:
      return training::load_ema_weights(run);
    case ddpm::SampleWeights::kLast:
      return training::load_model_weights(run);
    case ddpm::SampleWeights::kBest:
      break;
  }
  if (!std::filesystem::exists(run / training::kBestFile)) {
    throw core::DataError(
        "{}: has no best weights: nothing was scored while it was trained (section [score] of its "
        "configuration)",
        run.string());
  }
  return training::load_best_weights(run, header, config.same_run());
}

}  // namespace

LoadedRun load_run(const SamplingRequest& request) {
  const auto header = training::read_header(request.run);
  const auto origin = request.run.string();
  ddpm::restore_config(header.config_json, origin);  // what is wrong without the settings is no user's slip
  auto tree = core::ConfigTree::from_json(header.config_json, origin);
  lay_over(tree, request.settings);
  auto config = ddpm::read_run_config(tree);
  const auto saved = load_weights(request.run, header, config);

  LoadedRun run{ddpm::restore_model(saved, origin), config.sample, std::move(config), {}};
  core::named_as_given(tree, [&] {
    require_memory({"sample.micro_batch"}, run.options.micro_batch,
                   sizeof(float) * static_cast<double>(c10::multiply_integers(run.model.row_shape)));
  });
  run.options.seed = request.seed;
  const auto sampler = sampler_record(run.config, run.model.process);
  run.record = {{"run", origin},
                {"step", saved.step},
                {"weights", sampler.at("weights")},
                {"checkpoint_sha256", saved.sha256},
                {"data", run.config.data.source},
                {"process", core::Json::parse(core::config_to_json(run.config.process))},
                {"objective", core::Json::parse(core::config_to_json(run.config.objective))},
                {"sampler", sampler},
                {"seed", request.seed}};
  tensor::process_group().require_same(
      origin, core::json_text({saved.sha256, sampler, run.options.micro_batch, request.seed}));
  if (!saved.imported_from.empty()) {
    run.record["origin"] = core::Json::parse(saved.imported_from);
    if (saved.step == 0) {
      run.record["step"] = nullptr;  // not known
    }
  }
  return run;
}

int64_t samples_of_a_round(const LoadedRun& run) {
  return run.options.micro_batch * tensor::process_group().size();
}

at::Tensor draw(const LoadedRun& run, int64_t begin, int64_t end, const std::function<void()>& stop) {
  auto& group = tensor::process_group();
  // Micro-batches are those of the whole chain of samples: the first and the last may be parts of one.
  const int64_t micro_batch = run.options.micro_batch;
  const int64_t first = begin / micro_batch;
  const int64_t batches = (end + micro_batch - 1) / micro_batch - first;
  const auto bound = [&](int64_t rank) {
    return std::clamp((first + batches * rank / group.size()) * micro_batch, begin, end);
  };
  const int64_t own_begin = bound(group.rank());
  const int64_t own_end = bound(group.rank() + 1);
  at::Tensor own;
  if (own_begin < own_end) {
    own = ddpm::sample_data(run.model, run.options, tensor::index_range(own_begin, own_end),
                            [&](int64_t, int64_t) { stop(); });
  }
  return group.gather_rows(own);
}

std::string prior_warning(const LoadedRun& run) {
  return ddpm::prior_mismatch(run.model.process, x_0_std(run.config, run.model));
}

core::Json sampler_record(const ddpm::RunConfig& config, const ddpm::DiffusionProcess& process) {
  auto record = resolved_sampler(core::Json::parse(core::config_to_json(config.sample)),
                                 core::Json::parse(core::config_to_json(config.process)),
                                 core::Json::parse(core::config_to_json(config.objective)));
  record[kVisited] = ddpm::visited_chain(process, config.sample).steps();
  return record;
}

core::Json resolved_sampler(const core::Json& sampler, const core::Json& process,
                            const core::Json& objective) {
  if (!sampler.is_object()) {
    return sampler;
  }
  auto resolved = core::Json::parse(core::config_to_json(ddpm::SampleOptions()));
  for (const auto& [key, value] : sampler.items()) {
    resolved[key] = value;
  }
  resolved.erase(kVisited);
  if (resolved["steps"] == 0) {
    resolved["steps"] = process.at("steps");
  }
  if (resolved["sampler"] != "ancestral") {
    resolved.erase("variance");
  } else if (resolved["variance"] == "model") {
    resolved["variance"] = objective.at("variance");
  }
  return resolved;
}

void write_grid(const std::filesystem::path& target, const at::Tensor& images_u8) {
  const auto columns = static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(images_u8.size(0)))));
  const auto png = data::encode_png(data::image_grid(images_u8, columns));
  core::write_file(target, {png.data(), png.size()});
}

}  // namespace ddpm_eval::eval
