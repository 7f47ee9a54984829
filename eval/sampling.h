#pragma once

#include "base/core/record.h"
#include "ddpm/model_factory.h"
#include "eval/setting.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {

struct SamplingRequest {
  std::filesystem::path run;
  std::vector<Setting> settings;  ///< of section [sample]
  uint64_t seed = 0;
};

/// A trained model with all that its samples depend on.
struct LoadedRun {
  ddpm::Model model;
  ddpm::SampleOptions options;
  ddpm::RunConfig config;  ///< with the same options, but for the seed
  core::Json record;       ///< run, its step, weights, SHA-256 of the checkpoint, sampler as resolved, data;
                           ///< origin if it was imported
};

/// Throws UsageError for a setting that does not exist or does not suit, DataError for a run that cannot be
/// read.
LoadedRun load_run(const SamplingRequest& request);

/// Samples number `begin` to `end` - 1 as ddpm::sample_data(); of processes that work together
/// (tensor::process_group()) each draws its share of the micro-batches, and all get all. `stop` is called
/// between the sampler's steps.
at::Tensor draw(const LoadedRun& run, int64_t begin, int64_t end, const std::function<void()>& stop);

/// So many micro-batches give every process one.
int64_t samples_of_a_round(const LoadedRun& run);

/// What to say of a chain that does not end in noise: see ddpm::prior_mismatch(). Empty if it does.
std::string prior_warning(const LoadedRun& run);

/// The sampler of a configuration for records: resolved_sampler() and `visited`, how many steps of the chain
/// it visits, which are the passes through the network.
core::Json sampler_record(const ddpm::RunConfig& config, const ddpm::DiffusionProcess& process);

/// Section [sample] with nothing left open, for a process and an objective of the same configuration: `steps`
/// is never 0 and `variance` never "model", and only the ancestral sampler has one. Keys that an earlier
/// version did not write are filled in, so that two records of one sampler are equal; `visited`, which
/// follows from the rest, is left out. All of them as JSON.
core::Json resolved_sampler(const core::Json& sampler, const core::Json& process,
                            const core::Json& objective);

/// A PNG of the images side by side, as square a grid as their number allows.
void write_grid(const std::filesystem::path& target, const at::Tensor& images_u8);

}  // namespace ddpm_eval::eval
