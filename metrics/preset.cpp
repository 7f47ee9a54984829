#include "metrics/preset.h"

#include "base/core/error.h"
#include "base/core/text.h"

#include <array>
#include <string>
#include <vector>

namespace ddpm_eval::metrics {
namespace {

constexpr std::array<Preset, 2> kPresets{{
    {.name = "torch-fidelity",
     .resampler_name = "tf1-bilinear",
     .resampler = Resampler::kTf1Bilinear,
     .scaling = Scaling::kCentredBytes,
     .inception_score = InceptionScoreRule{.splits = 10, .shuffle_seed = 2020},
     .note =
         "torch-fidelity averages features in float32, this program in float64: about 1e-6 of the distance"},
    {.name = "pytorch-fid",
     .resampler_name = "half-pixel-bilinear",
     .resampler = Resampler::kHalfPixelBilinear,
     .scaling = Scaling::kSignedUnit,
     .inception_score = std::nullopt,
     .note = ""},
}};

template <class Predicate>
std::vector<std::string> names_of_presets(Predicate&& wanted) {
  std::vector<std::string> names;
  for (const Preset& preset : kPresets) {
    if (wanted(preset)) {
      names.emplace_back(preset.name);
    }
  }
  return names;
}

}  // namespace

std::span<const Preset> presets() { return kPresets; }

const Preset& find_preset(std::string_view name) {
  for (const Preset& preset : kPresets) {
    if (preset.name == name) {
      return preset;
    }
  }
  const auto names = names_of_presets([](const Preset&) { return true; });
  throw core::UsageError("there is no preset '{}'{}; choose {}", name, core::did_you_mean(name, names),
                         core::join_or(names));
}

bool has_metric(const Preset& preset, std::string_view metric) {
  if (metric == kFrechetDistance) {
    return true;
  }
  return metric == kInceptionScore && preset.inception_score.has_value();
}

void require_metric(const Preset& preset, std::string_view metric) {
  if (has_metric(preset, metric)) {
    return;
  }
  const auto names = names_of_presets([&](const Preset& other) { return has_metric(other, metric); });
  if (names.empty()) {
    throw core::UsageError("no preset has a metric '{}'; choose {} or {}", metric, kFrechetDistance,
                           kInceptionScore);
  }
  throw core::UsageError("preset '{}' has no {}, because the tool has none; use --preset {}", preset.name,
                         metric, core::join_or(names));
}

}  // namespace ddpm_eval::metrics
