#pragma once

#include "base/core/record.h"
#include "ddpm/model_factory.h"

#include <filesystem>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {

/// "steps=50", laid over the sample section of a run's configuration, and how messages name where it was
/// said.
struct SamplingSetting {
  std::string assignment;
  std::string origin;
};

struct SamplingRequest {
  std::filesystem::path run;
  std::vector<SamplingSetting> settings;
  uint64_t seed = 0;
};

/// A trained model with all that its samples depend on.
struct LoadedRun {
  ddpm::Model model;
  ddpm::SampleOptions options;
  std::string prior_warning;  ///< see ddpm::prior_mismatch(); empty if the chain ends in noise
  core::Json record;  ///< run, its step, weights, SHA-256 of the checkpoint, sampler as resolved, data;
                      ///< origin if it was imported
};

/// Throws UsageError for a setting that does not exist or does not suit, DataError for a run that cannot be
/// read.
LoadedRun load_run(const SamplingRequest& request);

/// Images as the rest of the program takes them: uint8 [n, 3, H, W], greyscale replicated.
at::Tensor as_rgb(const at::Tensor& images_u8);

/// A PNG of the images side by side, as square a grid as their number allows.
void write_grid(const std::filesystem::path& target, const at::Tensor& images_u8);

}  // namespace ddpm_eval::eval
