#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

// A preset is the convention of one published tool, as data: what has to be the same for two numbers to be
// comparable.
namespace ddpm_eval::metrics {

enum class Resampler { kTf1Bilinear, kHalfPixelBilinear };

enum class Scaling {
  kCentredBytes,  ///< (v - 128) / 128 of v on 0..255
  kSignedUnit,    ///< 2 v - 1 of v on [0, 1]
};

/// How a tool computes the Inception Score: contiguous splits of the samples, shuffled beforehand by
/// numpy.random.RandomState(shuffle_seed).permutation.
struct InceptionScoreRule {
  int64_t splits = 10;
  std::optional<uint32_t> shuffle_seed;  ///< none: the order in which the samples came
};

struct Preset {
  std::string_view name;
  std::string_view resampler_name;  ///< for records
  Resampler resampler = Resampler::kTf1Bilinear;
  Scaling scaling = Scaling::kCentredBytes;
  std::optional<InceptionScoreRule> inception_score;  ///< none: the tool has no such metric
  std::string_view note;  ///< where this program knowingly differs from the tool; may be empty
};

inline constexpr std::string_view kDefaultPreset = "torch-fidelity";

std::span<const Preset> presets();

/// Throws UsageError with the nearest name or, failing that, all names.
const Preset& find_preset(std::string_view name);

/// Names of the metrics that presets may or may not have.
inline constexpr std::string_view kFrechetDistance = "frechet_distance";
inline constexpr std::string_view kInceptionScore = "inception_score";

bool has_metric(const Preset& preset, std::string_view metric);

/// Throws UsageError naming the presets that do have `metric`.
void require_metric(const Preset& preset, std::string_view metric);

}  // namespace ddpm_eval::metrics
