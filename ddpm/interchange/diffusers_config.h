#pragma once

#include "ddpm/run_config.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// What diffusers' UNet2DModel, DDPMScheduler and DDIMScheduler keep in their JSON files, and our
// configuration.
namespace ddpm_eval::ddpm {

/// No images are larger, nor have more channels: a larger number is a damaged file's.
inline constexpr int64_t kMaxImageSide = 65'536;

/// The text of a JSON file and its name for messages.
struct NamedText {
  std::string text;
  std::string origin;
};

/// A model of diffusers in our terms.
struct DiffusersModel {
  RunConfig config;                ///< sections model, process, objective and sample; the rest as by default
  std::vector<int64_t> row_shape;  ///< {C, H, W}
  std::vector<std::string> notes;  ///< what was taken for granted
};

/// From a network's config.json and a scheduler's scheduler_config.json. `side` is that of the images where
/// sample_size does not say it, or says the same. A key that is missing counts as its default in diffusers,
/// but for attention_head_dim, whose default of 8 versions below 0.1 did not have. Throws DataError naming
/// the file, the key and the value for whatever our network, process and samplers cannot do, and for keys
/// that are not known.
DiffusersModel from_diffusers(const NamedText& network, const NamedText& scheduler,
                              std::optional<int64_t> side);

/// Where in diffusers' files a key of ours is.
struct DiffusersKey {
  bool is_of_scheduler;
  std::string name;
};

/// That of a key which from_diffusers() fills in, or none.
std::optional<DiffusersKey> diffusers_key(const std::string& key);

/// The JSON files of a folder that diffusers opens, with a DDPMScheduler.
struct DiffusersTexts {
  std::string network;    ///< config.json
  std::string scheduler;  ///< scheduler_config.json
  std::string pipeline;   ///< model_index.json
};

/// The reverse, for a network that makes images of `row_shape`. Throws UsageError naming our key for what
/// diffusers does not have: points, prediction "mu", variance "learned", the schedules const, warmup and jsd.
DiffusersTexts to_diffusers(const RunConfig& config, const std::vector<int64_t>& row_shape);

}  // namespace ddpm_eval::ddpm
