#pragma once

#include "tests/support/synthetic_features.h"
#include "tests/support/temp_dir.h"

#include <fstream>

#include <nlohmann/json.hpp>

// What tools/golden/make_points.py has computed.
namespace ddpm_eval::testing {

inline nlohmann::json golden_point_cases() {
  std::ifstream file(source_dir() / "tests/golden/points.json");
  return nlohmann::json::parse(file)["cases"];
}

/// float32 [n, 2].
inline at::Tensor golden_points(const nlohmann::json& entry, const char* side) {
  const auto& spec = entry[side];
  return synthetic_features({spec["seed"], spec["count"], spec["offset"], spec["scale"]}, 2);
}

}  // namespace ddpm_eval::testing
