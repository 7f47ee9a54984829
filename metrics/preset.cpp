#include "metrics/preset.h"

#include "base/core/error.h"
#include "base/core/text.h"

#include <array>
#include <string>
#include <vector>

namespace ddpm_eval::metrics {
namespace {

constexpr std::array kPresets{
    Preset{.name = "torch-fidelity",
           .resampler_name = "tf1-bilinear",
           .resampler = Resampler::kTf1Bilinear,
           .scaling = Scaling::kCentredBytes,
           .inception_score = InceptionScoreRule{},
           .kernel_distance = KernelDistanceRule{},
           .neighbours = NeighbourRule{},
           .note = "torch-fidelity averages features in float32, this program in float64: about 1e-6 of the "
                   "distance"},
    Preset{.name = "pytorch-fid",
           .resampler_name = "half-pixel-bilinear",
           .resampler = Resampler::kHalfPixelBilinear,
           .scaling = Scaling::kSignedUnit,
           .inception_score = std::nullopt,
           .kernel_distance = std::nullopt,
           .neighbours = std::nullopt,
           .note =
               "PyTorch's resampler fuses multiply and add on most processors, this program's does not: one "
               "unit in the last place"},
    Preset{.name = "clean-fid",
           .resampler_name = "pillow-bicubic",
           .resampler = Resampler::kPillowBicubic,
           .scaling = Scaling::kCentredBytes,
           .inception_score = std::nullopt,
           .kernel_distance = KernelDistanceRule{.shrink = true, .seed = std::nullopt},
           .neighbours = std::nullopt,
           .note =
               "clean-fid averages features in float32, this program in float64: about 1e-6 of the distance"},
    Preset{.name = "clean-fid-legacy-pytorch",
           .resampler_name = "half-pixel-bilinear-of-bytes",
           .resampler = Resampler::kHalfPixelOfBytes,
           .scaling = Scaling::kSignedBytes,
           .inception_score = std::nullopt,
           .kernel_distance = KernelDistanceRule{.shrink = true, .seed = std::nullopt},
           .neighbours = std::nullopt,
           .note =
               "clean-fid averages features in float32, this program in float64: about 1e-6 of the distance"},
    Preset{.name = "clean-fid-legacy-tensorflow",
           .resampler_name = "tf1-bilinear",
           .resampler = Resampler::kTf1Bilinear,
           .scaling = Scaling::kCentredBytes,
           .inception_score = std::nullopt,
           .kernel_distance = KernelDistanceRule{.shrink = true, .seed = std::nullopt},
           .neighbours = std::nullopt,
           .note = "clean-fid's network resizes by a float32 grid, some thousandths of a grey level, of "
                   "large photographs hundredths, from TensorFlow's rule used here, and it averages features "
                   "in float32"},
    Preset{.name = "torchmetrics",
           .resampler_name = "antialiased-bilinear",
           .resampler = Resampler::kAntialiasedBilinear,
           .scaling = Scaling::kCentredBytes,
           .inception_score = InceptionScoreRule{.splits = 10,
                                                 .shuffle_seed = std::nullopt,
                                                 .splitting = Splitting::kCeil,
                                                 .softmax = Softmax::kFloat32,
                                                 .ddof = 1},
           .kernel_distance = KernelDistanceRule{.seed = std::nullopt},
           .neighbours = std::nullopt,
           .note = "as torchmetrics 1.8 and later, which antialias; before the Inception Score torchmetrics "
                   "shuffles by PyTorch's global generator, this program keeps the order given"},
    Preset{.name = "adm",
           .resampler_name = "tf1-bilinear",
           .resampler = Resampler::kTf1Bilinear,
           .scaling = Scaling::kCentredBytes,
           .inception_score = InceptionScoreRule{.splits = 5000,
                                                 .shuffle_seed = std::nullopt,
                                                 .splitting = Splitting::kChunks,
                                                 .softmax = Softmax::kFloat32,
                                                 .ddof = std::nullopt},
           .kernel_distance = std::nullopt,
           .neighbours = NeighbourRule{.arithmetic = DistanceArithmetic::kHalf},
           .note = "ADM's evaluator averages features and the Inception Score in float32, this program in "
                   "float64: about 1e-6 of either"},
    Preset{.name = "edm",
           .resampler_name = "tf1-bilinear",
           .resampler = Resampler::kTf1Bilinear,
           .scaling = Scaling::kCentredBytes,
           .inception_score = std::nullopt,
           .kernel_distance = std::nullopt,
           .neighbours = std::nullopt,
           .note = "EDM's network resizes by a float32 grid, some thousandths of a grey level, of "
                   "large photographs hundredths, from TensorFlow's rule used here; it scores a seeded draw "
                   "of --num images, this program all "
                   "that it is given"},
    Preset{
        .name = "pytorch-gan-metrics",
        .resampler_name = "half-pixel-bilinear",
        .resampler = Resampler::kHalfPixelBilinear,
        .scaling = Scaling::kSignedUnit,
        .inception_score = InceptionScoreRule{.splits = 10,
                                              .shuffle_seed = std::nullopt,
                                              .splitting = Splitting::kEven,
                                              .softmax = Softmax::kFloat32,
                                              .ddof = 0},
        .kernel_distance = std::nullopt,
        .neighbours = std::nullopt,
        .note =
            "pytorch-gan-metrics takes files as the folder lists them, which splits its Inception Score at "
            "random, this program sorts them; its option use_torch computes otherwise"},
    Preset{.name = "dgm-eval",
           .resampler_name = "half-pixel-bilinear",
           .resampler = Resampler::kHalfPixelBilinear,
           .scaling = Scaling::kSignedUnit,
           .inception_score = InceptionScoreRule{.splits = 10,
                                                 .shuffle_seed = 2020,
                                                 .splitting = Splitting::kDropRest,
                                                 .softmax = Softmax::kFloat32,
                                                 .ddof = 0},
           .kernel_distance =
               KernelDistanceRule{
                   .shrink = true, .seed = std::nullopt, .arithmetic = KernelArithmetic::kFloat64},
           .neighbours = NeighbourRule{.k = 5, .inclusive = false},
           .note =
               "dgm-eval draws 50,000 images of larger sets and takes the Inception Score of the set named "
               "before the samples; this program scores all images, of the set that is named"},
};

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

std::string preset_names() {
  return core::join_or(names_of_presets([](const Preset&) { return true; }));
}

bool has_metric(const Preset& preset, std::string_view metric) {
  if (metric == kFrechetDistance) {
    return true;
  }
  return (metric == kInceptionScore && preset.inception_score) ||
         (metric == kKernelDistance && preset.kernel_distance) ||
         (metric == kNeighbours && preset.neighbours);
}

void require_metric(const Preset& preset, std::string_view metric) {
  if (has_metric(preset, metric)) {
    return;
  }
  const auto names = names_of_presets([&](const Preset& other) { return has_metric(other, metric); });
  if (names.empty()) {
    throw core::UsageError("no preset has a metric '{}'; choose {}, {}, {} or {}", metric, kFrechetDistance,
                           kInceptionScore, kKernelDistance, kNeighbours);
  }
  throw core::UsageError("preset '{}' has no {}, because the tool has none; use --preset {}", preset.name,
                         metric, core::join_or(names));
}

}  // namespace ddpm_eval::metrics
