#pragma once

#include "metrics/preset.h"

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

// What a network in a TorchScript file is to be given, which the file itself does not say. Conventions that
// many share have names; another of them is an entry of the table in script_convention.cpp.
namespace ddpm_eval::metrics {

/// What the values are on before mean and deviation are applied.
enum class ScriptRange {
  kUnit,    ///< v / 255, 0..1
  kSigned,  ///< 2 v / 255 - 1, -1..1
  kBytes,   ///< v, 0..255
};

/// How forward() is called.
enum class ScriptCall {
  kImages,          ///< forward(images)
  kReturnFeatures,  ///< forward(images, return_features=True), as NVIDIA's detectors
};

struct ScriptConvention {
  std::string_view name = "custom";
  int64_t size = 0;  ///< images become float32 [n, 3, size, size]
  Resampler resampler = Resampler::kPillowBicubic;
  ScriptRange range = ScriptRange::kUnit;
  std::array<double, 3> mean = {0, 0, 0};  ///< red, green, blue: (x - mean) / deviation
  std::array<double, 3> deviation = {1, 1, 1};
  bool square = false;  ///< others than square images, of which the tool cuts the middle out, are refused
  ScriptCall call = ScriptCall::kImages;
  std::string output = {};  ///< the key of a dictionary or the place in a tuple that forward() gives; empty:
                            ///< it gives a tensor
  std::string_view note = {};  ///< whose convention it is
};

/// "dinov2", "clip", "vgg16", "nvidia-inception".
std::span<const ScriptConvention> script_conventions();

/// Throws UsageError with the nearest name or, failing that, all names.
const ScriptConvention& find_script_convention(std::string_view name);

/// "tf1-bilinear", ...: the resizers that a convention may name.
std::span<const std::pair<std::string_view, Resampler>> script_resamplers();
std::span<const std::pair<std::string_view, ScriptRange>> script_ranges();

/// As a JSON object, for records: everything that a number depends on.
std::string convention_json(const ScriptConvention& convention);

}  // namespace ddpm_eval::metrics
