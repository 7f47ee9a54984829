#pragma once

#include "metrics/kernel_distance.h"
#include "metrics/neighbours.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

// A preset is the convention of one published tool, as data: what has to be the same for two numbers to be
// comparable. A further tool is an entry of the table in preset.cpp and a golden test; a further resampler
// also a case in preprocess.cpp.
namespace ddpm_eval::metrics {

/// What metrics/resample.h and metrics/filter_resample.h have.
enum class Resampler {
  kTf1Bilinear,
  kHalfPixelBilinear,  ///< of v / 255
  kHalfPixelOfBytes,
  kAntialiasedBilinear,
  kPillowBicubic,
  kPillowBicubicOfBytes,
};

/// What becomes of the resampled values, on 0..255 where nothing else is said.
enum class Scaling {
  kCentredBytes,  ///< (v - 128) / 128
  kSignedUnit,    ///< 2 v - 1 of v on [0, 1]
  kSignedBytes,   ///< 2 (v / 255) - 1 of v clipped to 0..255
};

/// Which rows an Inception Score takes together.
enum class Splitting {
  kEven,      ///< split i has the rows [i N / splits, (i + 1) N / splits)
  kDropRest,  ///< N / splits rows each; what is left over is not scored
  kCeil,      ///< ceil(N / splits) rows each, the last fewer; there may be fewer splits than asked for
  kChunks,    ///< a fixed number of rows each, the last fewer
};

/// What a tool takes the softmax of float32 logits in. All that follows is float64 here.
enum class Softmax { kFloat64, kFloat32 };

/// How a tool computes the Inception Score. As it stands, torch-fidelity's.
struct InceptionScoreRule {
  int64_t splits = 10;  ///< their number; of kChunks, the rows in each
  /// Rows are put into the order of NumPy's RandomState(seed).permutation first; none: the order in which the
  /// samples came. torch-fidelity shuffles, because contiguous splits of a set sorted by class would depress
  /// the score.
  std::optional<uint32_t> shuffle_seed = 2020;
  Splitting splitting = Splitting::kEven;
  Softmax softmax = Softmax::kFloat64;
  std::optional<int> ddof = 0;  ///< the deviation divides by (splits - ddof); none: the tool gives none
};

struct Preset {
  std::string_view name;
  std::string_view resampler_name;  ///< for records
  Resampler resampler = Resampler::kTf1Bilinear;
  Scaling scaling = Scaling::kCentredBytes;
  std::optional<InceptionScoreRule> inception_score;  ///< none: the tool has no such metric
  std::optional<KernelDistanceRule> kernel_distance;  ///< none: the tool has no such metric
  std::optional<NeighbourRule> neighbours;            ///< none: the tool has no precision and recall
  std::string_view note;                              ///< where this program knowingly differs from the tool
};

inline constexpr std::string_view kDefaultPreset = "torch-fidelity";

std::span<const Preset> presets();

/// Throws UsageError with the nearest name or, failing that, all names.
const Preset& find_preset(std::string_view name);

/// "torch-fidelity, pytorch-fid, ... or dgm-eval".
std::string preset_names();

/// Names of the metrics that presets may or may not have.
inline constexpr std::string_view kFrechetDistance = "frechet_distance";
inline constexpr std::string_view kInceptionScore = "inception_score";
inline constexpr std::string_view kKernelDistance = "kernel_distance";
inline constexpr std::string_view kNeighbours = "precision and recall";

bool has_metric(const Preset& preset, std::string_view metric);

/// Throws UsageError naming the presets that do have `metric`.
void require_metric(const Preset& preset, std::string_view metric);

}  // namespace ddpm_eval::metrics
