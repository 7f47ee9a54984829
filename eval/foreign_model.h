#pragma once

#include "base/core/record.h"
#include "ddpm/interchange/weights.h"
#include "ddpm/run_config.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

// Models in the files of other programs.
namespace ddpm_eval::eval {

struct ImportRequest {
  std::filesystem::path source;  ///< a folder of diffusers, or a file of weights
  std::filesystem::path
      scheduler{};                ///< of a folder: its scheduler's file, where it has none; empty: its own
  std::string config{};           ///< of a file: the configuration (.toml) of the network that it is of
  std::optional<int64_t> side{};  ///< of the images, where the files do not say it
  std::string data = "unknown";   ///< what the model was trained on, for the records
};

/// A model that fits its configuration, and where it comes from.
struct ForeignModel {
  ddpm::RunConfig config;
  std::vector<int64_t> row_shape;  ///< {C, H, W}
  ddpm::ForeignWeights weights;
  core::Json origin;  ///< name, layout, files with their SHA-256, notes; no places
};

/// Reads and checks all of it. Throws UsageError for flags that do not suit, and DataError naming the file
/// and the key or tensor for what is missing, damaged or not of our network.
ForeignModel read_foreign_model(const ImportRequest& request);

}  // namespace ddpm_eval::eval
