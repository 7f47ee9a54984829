#include "metrics/script_convention.h"

#include "base/core/error.h"
#include "base/core/text.h"

#include <algorithm>
#include <vector>

#include <nlohmann/json.hpp>

namespace ddpm_eval::metrics {
namespace {

constexpr std::array<double, 3> kImageNetMean = {0.485, 0.456, 0.406};
constexpr std::array<double, 3> kImageNetDeviation = {0.229, 0.224, 0.225};

const std::array kConventions{
    ScriptConvention{.name = "dinov2",
                     .size = 224,
                     .resampler = Resampler::kPillowBicubicOfBytes,
                     .mean = kImageNetMean,
                     .deviation = kImageNetDeviation,
                     .note = "dgm-eval's FD-DINOv2"},
    ScriptConvention{.name = "clip",
                     .size = 224,
                     .resampler = Resampler::kPillowBicubicOfBytes,
                     .mean = {0.48145466, 0.4578275, 0.40821073},
                     .deviation = {0.26862954, 0.26130258, 0.27577711},
                     .square = true,
                     .note = "OpenAI's CLIP and clean-fid's CLIP-FID, of square images"},
    ScriptConvention{.name = "vgg16",
                     .size = 224,
                     .resampler = Resampler::kTf1Bilinear,
                     .range = ScriptRange::kBytes,
                     .mean = {123.675, 116.28, 103.53},
                     .deviation = {58.395, 57.12, 57.375},
                     .note = "torch-fidelity's VGG16, for precision and recall"},
    // The network would resize by this rule itself, image by image; of this size it leaves them as they are.
    ScriptConvention{.name = "nvidia-inception",
                     .size = 299,
                     .resampler = Resampler::kTf1Bilinear,
                     .range = ScriptRange::kBytes,
                     .call = ScriptCall::kReturnFeatures,
                     .note = "inception-2015-12-05.pt of StyleGAN2-ADA, EDM and clean-fid"}};

constexpr std::array<std::pair<std::string_view, Resampler>, 5> kScriptResamplers{
    {{"tf1-bilinear", Resampler::kTf1Bilinear},
     {"half-pixel-bilinear-of-bytes", Resampler::kHalfPixelOfBytes},
     {"antialiased-bilinear", Resampler::kAntialiasedBilinear},
     {"pillow-bicubic", Resampler::kPillowBicubic},
     {"pillow-bicubic-of-bytes", Resampler::kPillowBicubicOfBytes}}};

constexpr std::array<std::pair<std::string_view, ScriptRange>, 3> kScriptRanges{
    {{"unit", ScriptRange::kUnit}, {"signed", ScriptRange::kSigned}, {"bytes", ScriptRange::kBytes}}};

template <class Words, class Value>
std::string_view word_for(const Words& words, Value value) {
  const auto found =
      std::find_if(words.begin(), words.end(), [&](const auto& entry) { return entry.second == value; });
  DDPM_CHECK(found != words.end(), "a convention has no word for a value");
  return found->first;
}

}  // namespace

std::span<const ScriptConvention> script_conventions() { return kConventions; }

const ScriptConvention& find_script_convention(std::string_view name) {
  std::vector<std::string> names;
  for (const auto& convention : kConventions) {
    if (convention.name == name) {
      return convention;
    }
    names.emplace_back(convention.name);
  }
  throw core::UsageError("there is no convention '{}'{}; choose {}, or a .toml file", name,
                         core::did_you_mean(name, names), core::join_or(names));
}

std::span<const std::pair<std::string_view, Resampler>> script_resamplers() { return kScriptResamplers; }

std::span<const std::pair<std::string_view, ScriptRange>> script_ranges() { return kScriptRanges; }

std::string convention_json(const ScriptConvention& convention) {
  nlohmann::ordered_json json = {{"size", convention.size},
                                 {"resize", word_for(kScriptResamplers, convention.resampler)},
                                 {"range", word_for(kScriptRanges, convention.range)},
                                 {"mean", convention.mean},
                                 {"std", convention.deviation}};
  if (!convention.output.empty()) {
    json["output"] = convention.output;
  }
  if (convention.call == ScriptCall::kReturnFeatures) {
    json["call"] = "return_features";
  }
  return json.dump();
}

}  // namespace ddpm_eval::metrics
