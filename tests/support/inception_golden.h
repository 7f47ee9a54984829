#pragma once

#include "base/core/digest.h"
#include "tests/support/temp_dir.h"

#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <torch/types.h>

namespace ddpm_eval::testing {

/// tests/golden/inception.json, which tools/golden/make_inception.py wrote by running the peers.
inline nlohmann::json inception_golden() {
  std::ifstream file(source_dir() / "tests/golden/inception.json");
  return nlohmann::json::parse(file);
}

/// tests/golden/presets.json, by tools/golden/make_presets.py.
inline nlohmann::json presets_golden() {
  std::ifstream file(source_dir() / "tests/golden/presets.json");
  return nlohmann::json::parse(file);
}

/// A list of numbers as float64 [n].
inline at::Tensor to_tensor(const nlohmann::json& numbers) {
  return torch::tensor(numbers.get<std::vector<double>>(), torch::kFloat64);
}

/// Of the bytes of a contiguous tensor.
inline std::string sha256_of(const at::Tensor& tensor) {
  return core::sha256_hex({static_cast<const char*>(tensor.data_ptr()), tensor.nbytes()});
}

}  // namespace ddpm_eval::testing
