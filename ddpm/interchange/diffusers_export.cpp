#include "base/core/error.h"
#include "ddpm/interchange/diffusers_config.h"
#include "ddpm/interchange/diffusers_words.h"

#include <nlohmann/json.hpp>

namespace ddpm_eval::ddpm {
namespace {

using Json = nlohmann::ordered_json;

/// Whose layout of the files is written.
constexpr const char* kDiffusersVersion = "0.27.2";

/// The word whose partner is `value`, or none.
template <class Value>
std::optional<std::string> word_for(const std::vector<std::pair<std::string, Value>>& pairs,
                                    const Value& value) {
  for (const auto& [word, candidate] : pairs) {
    if (candidate == value) {
      return word;
    }
  }
  return std::nullopt;
}

/// The refusal of an export.
[[noreturn]] void not_in_diffusers(const char* key, const std::string& value) {
  throw core::UsageError(core::Key{key}, "diffusers has nothing like '{}'; this run cannot be exported",
                         value);
}

Json network_json(const RunConfig& config, const std::vector<int64_t>& row_shape) {
  const auto& unet = config.model.unet;
  Json down = Json::array(), up = Json::array(), widths = Json::array();
  for (size_t i = 0; i < unet.multipliers.size(); ++i) {
    const auto& sides = unet.attention_resolutions;
    const bool attends = std::find(sides.begin(), sides.end(), row_shape[1] >> i) != sides.end();
    widths.push_back(unet.base_channels * unet.multipliers[i]);
    down.push_back(attends ? "AttnDownBlock2D" : "DownBlock2D");
    up.insert(up.begin(), attends ? "AttnUpBlock2D" : "UpBlock2D");
  }
  return {{"_class_name", "UNet2DModel"},
          {"_diffusers_version", kDiffusersVersion},
          {"act_fn", "silu"},
          {"add_attention", true},
          {"attention_head_dim", nullptr},
          {"attn_norm_num_groups", nullptr},
          {"block_out_channels", widths},
          {"center_input_sample", false},
          {"class_embed_type", nullptr},
          {"down_block_types", down},
          {"downsample_padding", 0},
          {"downsample_type", "conv"},
          {"dropout", unet.dropout},
          {"flip_sin_to_cos", false},
          {"freq_shift", 1},
          {"in_channels", row_shape[0]},
          {"layers_per_block", unet.res_blocks},
          {"mid_block_scale_factor", 1},
          {"norm_eps", 1e-6},
          {"norm_num_groups", unet.groups},
          {"num_class_embeds", nullptr},
          {"num_train_timesteps", nullptr},
          {"out_channels", config.objective.parameterisation.output_channels(row_shape[0])},
          {"resnet_time_scale_shift", "default"},
          {"sample_size", row_shape[1]},
          {"time_embedding_type", "positional"},
          {"up_block_types", up},
          {"upsample_type", "conv"}};
}

Json scheduler_json(const RunConfig& config) {
  const auto& process = config.process;
  const auto& parameterisation = config.objective.parameterisation;
  const auto schedule = word_for(kDiffusersSchedules, process.kind);
  if (!schedule) {
    not_in_diffusers("process.kind", process.kind);
  }
  const auto prediction = word_for(kDiffusersPredictions, parameterisation.prediction);
  if (!prediction) {
    not_in_diffusers("objective.prediction", "mu");
  }
  const auto variance = word_for(kDiffusersVariances, parameterisation.variance);
  if (!variance) {
    not_in_diffusers("objective.variance", "learned");
  }
  // The others become diffusers' default: of its spacings the one on which its samplers step from one visited
  // t to the next.
  const auto spacing = word_for(kDiffusersSpacings, config.sample.spacing).value_or("leading");
  const double factor = process.rescale ? 1000.0 / static_cast<double>(process.steps) : 1.0;
  const bool thresholds = config.sample.dynamic_threshold > 0;
  return {{"_class_name", "DDPMScheduler"},
          {"_diffusers_version", kDiffusersVersion},
          {"beta_end", factor * process.beta_end},
          {"beta_schedule", *schedule},
          {"beta_start", factor * process.beta_start},
          {"clip_sample", config.sample.clip},
          {"clip_sample_range", 1.0},
          {"dynamic_thresholding_ratio", thresholds ? config.sample.dynamic_threshold : 0.995},
          {"num_train_timesteps", process.steps},
          {"prediction_type", *prediction},
          {"rescale_betas_zero_snr", false},
          {"sample_max_value", thresholds ? kNoThresholdLimit : 1.0},
          {"steps_offset", 0},
          {"thresholding", thresholds},
          {"timestep_spacing", spacing},
          {"trained_betas", nullptr},
          {"variance_type", *variance}};
}

}  // namespace

DiffusersTexts to_diffusers(const RunConfig& config, const std::vector<int64_t>& row_shape) {
  if (config.model.kind != NetworkKind::kUNet || row_shape.size() != 3) {
    not_in_diffusers("model.kind", network_word(config.model.kind));
  }
  const Json pipeline = {{"_class_name", "DDPMPipeline"},
                         {"_diffusers_version", kDiffusersVersion},
                         {"scheduler", {"diffusers", "DDPMScheduler"}},
                         {"unet", {"diffusers", "UNet2DModel"}}};
  const auto text = [](const Json& json) { return json.dump(2) + "\n"; };
  return {text(network_json(config, row_shape)), text(scheduler_json(config)), text(pipeline)};
}

}  // namespace ddpm_eval::ddpm
