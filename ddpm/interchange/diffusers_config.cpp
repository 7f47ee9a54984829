#include "ddpm/interchange/diffusers_config.h"

#include "base/core/error.h"
#include "ddpm/interchange/diffusers_words.h"
#include "ddpm/interchange/json_keys.h"

#include <map>

namespace ddpm_eval::ddpm {
namespace {

using Json = nlohmann::ordered_json;

/// More levels would halve an image of any size to nothing.
constexpr int64_t kMaxLevelCount = 16;

/// The partner of the word under `key`.
template <class Value>
Value partner(JsonKeys& keys, const char* key, const std::string& word,
              const std::vector<std::pair<std::string, Value>>& pairs) {
  std::string words;
  for (const auto& [candidate, value] : pairs) {
    if (candidate == word) {
      return value;
    }
    words += (words.empty() ? "" : ", ") + candidate;
  }
  keys.refuse(key, fmt::format("'{}' is not among what this program has: {}", word, words));
}

/// Everything of config.json that has but one value here.
void require_this_network(JsonKeys& keys) {
  keys.require("_class_name", "UNet2DModel", {"UNet2DModel"}, "this is another network");
  keys.require("act_fn", "silu", {"silu", "swish"}, "this network has swish");
  keys.require("center_input_sample", false, {false}, "this network takes images in [-1, 1]");
  keys.require("time_embedding_type", "positional", {"positional"}, "this network has sinusoids");
  keys.require("flip_sin_to_cos", true, {false}, "this network puts sines before cosines");
  keys.require("freq_shift", 0, {1}, "this network's frequencies end at 1/10000");
  keys.require("downsample_padding", 1, {0}, "this network pads right and bottom alone when halving");
  keys.require("downsample_type", "conv", {"conv"}, "this network halves by convolution");
  keys.require("upsample_type", "conv", {"conv"}, "this network doubles by convolution");
  keys.require("mid_block_scale_factor", 1, {1}, "this network does not scale its middle");
  keys.require("mid_block_type", "UNetMidBlock2D", {"UNetMidBlock2D"}, "this network has the plain middle");
  keys.require("norm_eps", 1e-5, {1e-6}, "this network's norms add 1e-6");
  keys.require("resnet_time_scale_shift", "default", {"default"}, "this network adds the time embedding");
  keys.require("add_attention", true, {true}, "this network has attention in its middle");
  keys.require("class_embed_type", nullptr, {nullptr}, "this network knows no classes");
  keys.require("num_class_embeds", nullptr, {nullptr}, "this network knows no classes");
  keys.ignore("num_train_timesteps");  // of learned time embeddings
}

/// `value`, which must be within 1..`most`.
int64_t within(JsonKeys& keys, const char* key, int64_t value, int64_t most) {
  if (value < 1 || value > most) {
    keys.refuse(key, fmt::format("{} is not within 1..{}", value, most));
  }
  return value;
}

int64_t image_side(JsonKeys& keys, std::optional<int64_t> side) {
  const auto size = keys.value("sample_size");
  std::optional<int64_t> stored;
  if (size.is_number_integer()) {
    stored = size.get<int64_t>();
  } else if (!size.is_null()) {
    const auto pair = keys.wholes("sample_size");
    if (pair.size() != 2 || pair[0] != pair[1]) {
      keys.refuse("sample_size", size.dump() + ", and this network needs square images");
    }
    stored = pair[0];
  }
  if (!stored && !side) {
    keys.refuse("sample_size", "says nothing; name the images' side with --side");
  }
  if (stored && side && *stored != *side) {
    keys.refuse("sample_size", fmt::format("{}, and not --side {}", *stored, *side));
  }
  return within(keys, "sample_size", stored ? *stored : *side, kMaxImageSide);
}

/// The sides of the levels with attention, from the block types of both halves.
std::vector<int64_t> attention_sides(JsonKeys& keys, size_t levels, int64_t side) {
  const auto down = keys.words("down_block_types");
  const auto up = keys.words("up_block_types");
  const auto check = [&](const char* key, const std::vector<std::string>& types, const char* plain,
                         const char* attending) {
    if (types.size() != levels) {
      keys.refuse(key, fmt::format("{} blocks, and block_out_channels has {}", types.size(), levels));
    }
    for (const auto& type : types) {
      if (type != plain && type != attending) {
        keys.refuse(key, fmt::format("'{}', and this network has {} and {}", type, plain, attending));
      }
    }
  };
  check("down_block_types", down, "DownBlock2D", "AttnDownBlock2D");
  check("up_block_types", up, "UpBlock2D", "AttnUpBlock2D");
  std::vector<int64_t> sides;
  for (size_t i = 0; i < levels; ++i) {
    const bool attends = down[i] == "AttnDownBlock2D";
    if (attends != (up[levels - 1 - i] == "AttnUpBlock2D")) {
      keys.refuse(
          "up_block_types",
          fmt::format("level {} has attention in one half alone, and this network has it in both or none",
                      i));
    }
    if (attends) {
      sides.push_back(side >> i);
    }
  }
  return sides;
}

/// Below 0.1, every attention block had a single head, and the key, where there was one, no default.
bool is_before_head_dims(const Json& version) {
  return version.is_string() && version.get<std::string>().starts_with("0.0.");
}

void require_single_heads(JsonKeys& keys, const std::vector<int64_t>& widths,
                          std::vector<std::string>& notes) {
  const char* key = "attention_head_dim";
  const auto version = keys.value("_diffusers_version");
  if (!keys.contains(key)) {
    if (!is_before_head_dims(version)) {
      keys.refuse(key,
                  "is missing, which diffusers takes as heads of 8, and this network has one of full width; "
                  "write null there if that is what was trained");
    }
    notes.push_back(fmt::format("attention_head_dim is missing: one head of full width, as in diffusers {}",
                                version.get<std::string>()));
    return;
  }
  if (keys.value(key).is_null()) {
    return;
  }
  const int64_t head = keys.whole(key, 0);
  for (const int64_t width : widths) {
    if (head != width) {
      keys.refuse(key,
                  fmt::format("heads of {} for {} channels, and this network has one of full width: null is "
                              "needed",
                              head, width));
    }
  }
}

/// Fills the network's part; returns the number of output channels.
int64_t read_network(JsonKeys& keys, std::optional<int64_t> side, DiffusersModel& model) {
  require_this_network(keys);
  auto& unet = model.config.model.unet;
  const auto widths = keys.wholes("block_out_channels");
  within(keys, "block_out_channels", static_cast<int64_t>(widths.size()), kMaxLevelCount);
  unet.base_channels = widths[0];
  unet.multipliers.clear();
  for (const int64_t width : widths) {
    if (widths[0] < 1 || width < 1 || width % widths[0] != 0) {
      keys.refuse(
          "block_out_channels",
          fmt::format("{} is not a multiple of the first, {}, as this network needs", width, widths[0]));
    }
    unet.multipliers.push_back(width / widths[0]);
  }
  unet.res_blocks = keys.whole("layers_per_block", 2);
  unet.dropout = keys.number("dropout", 0);
  unet.groups = keys.whole("norm_num_groups", 32);
  keys.require("attn_norm_num_groups", nullptr, {nullptr, unet.groups},
               "this network has the same groups everywhere");
  const int64_t image = image_side(keys, side);
  unet.attention_resolutions = attention_sides(keys, widths.size(), image);
  std::vector<int64_t> attending = {widths.back()};  // the middle
  for (size_t i = 0; i < widths.size(); ++i) {
    const auto& sides = unet.attention_resolutions;
    if (std::find(sides.begin(), sides.end(), image >> i) != sides.end()) {
      attending.push_back(widths[i]);
    }
  }
  require_single_heads(keys, attending, model.notes);
  model.row_shape = {within(keys, "in_channels", keys.whole("in_channels", 3), kMaxImageSide), image, image};
  return keys.whole("out_channels", 3);
}

void read_clipping(JsonKeys& keys, SampleOptions& sample) {
  sample.clip = keys.flag("clip_sample", true);
  const bool thresholds = keys.flag("thresholding", false);
  const double quantile = keys.number("dynamic_thresholding_ratio", 0.995);
  const double limit = keys.number("sample_max_value", 1);
  if (!thresholds && sample.clip) {
    keys.require("clip_sample_range", 1.0, {1.0}, "this program clips to [-1, 1]");
  }
  keys.ignore("clip_sample_range");
  if (!thresholds) {
    return;
  }
  sample.clip = true;
  if (limit >= kNoThresholdLimit) {
    sample.dynamic_threshold = quantile;
  } else if (limit != 1) {  // at 1 it is plain clipping
    keys.refuse("sample_max_value",
                fmt::format("{}, and this program divides by the quantile without a limit: 1, "
                            "which is plain clipping, or at least {} is needed",
                            limit, kNoThresholdLimit));
  }
}

void read_variance(JsonKeys& keys, bool is_ddim, int64_t out_channels, DiffusersModel& model) {
  auto& parameterisation = model.config.objective.parameterisation;
  if (is_ddim && !keys.contains("variance_type")) {
    model.notes.emplace_back(
        "a DDIMScheduler does not say the model's variance: fixed_small, diffusers' default");
  }
  const auto word = keys.word("variance_type", "fixed_small");
  if (word == "learned") {
    keys.refuse(
        "variance_type",
        "'learned': diffusers takes the network's output for the variance itself, and this program for its "
        "logarithm");
  }
  if (word == "fixed_large_log") {
    model.notes.emplace_back(
        "fixed_large_log is taken as fixed_large; diffusers' own sampler makes NaN of it");
  }
  parameterisation.variance = partner(keys, "variance_type", word, kDiffusersVariances);
  if (parameterisation.learns_variance()) {
    model.config.objective.loss = Loss::kHybrid;
    model.notes.emplace_back(
        "a learned variance: objective.loss is set to 'hybrid', which may not be the one used");
  }
  const int64_t wanted = parameterisation.output_channels(model.row_shape[0]);
  if (out_channels != wanted) {
    keys.refuse("variance_type",
                fmt::format("'{}' needs out_channels {} for in_channels {}, and the network has {}", word,
                            wanted, model.row_shape[0], out_channels));
  }
}

void read_scheduler(JsonKeys& keys, int64_t out_channels, DiffusersModel& model) {
  auto& config = model.config;
  const auto name = keys.word("_class_name", "DDPMScheduler");
  const bool is_ddim = name == "DDIMScheduler";
  if (!is_ddim && name != "DDPMScheduler") {
    keys.refuse("_class_name", fmt::format("'{}': save a DDPMScheduler or DDIMScheduler made from it "
                                           "(DDPMScheduler.from_config) and name that with --scheduler",
                                           name));
  }
  keys.require("trained_betas", nullptr, {nullptr}, "this program makes its schedules by name");
  keys.require("rescale_betas_zero_snr", false, {false}, "this program does not change a schedule's end");
  keys.require("steps_offset", 0, {0}, "this program's spacings have no offset");
  keys.require("set_alpha_to_one", true, {true}, "this program's last step returns x_0");
  keys.ignore("tensor_format");  // of early versions
  config.process.steps = keys.whole("num_train_timesteps", 1000);
  config.process.beta_start = keys.number("beta_start", 1e-4);
  config.process.beta_end = keys.number("beta_end", 0.02);
  config.process.kind =
      partner(keys, "beta_schedule", keys.word("beta_schedule", "linear"), kDiffusersSchedules);
  const bool predicts_eps = keys.flag("predict_epsilon", true);  // of early versions
  config.objective.parameterisation.prediction =
      partner(keys, "prediction_type", keys.word("prediction_type", predicts_eps ? "epsilon" : "sample"),
              kDiffusersPredictions);
  config.sample.sampler = is_ddim ? Sampler::kDdim : Sampler::kAncestral;
  config.sample.rederive = !is_ddim;  // use_clipped_model_output is false unless asked for
  config.sample.spacing =
      partner(keys, "timestep_spacing", keys.word("timestep_spacing", "leading"), kDiffusersSpacings);
  read_clipping(keys, config.sample);
  read_variance(keys, is_ddim, out_channels, model);
}

}  // namespace

std::optional<DiffusersKey> diffusers_key(const std::string& key) {
  static const std::map<std::string, DiffusersKey> kKeys = {
      {"model.unet.base_channels", {false, "block_out_channels"}},
      {"model.unet.multipliers", {false, "block_out_channels"}},
      {"model.unet.res_blocks", {false, "layers_per_block"}},
      {"model.unet.dropout", {false, "dropout"}},
      {"model.unet.groups", {false, "norm_num_groups"}},
      {"model.unet.attention_resolutions", {false, "down_block_types"}},
      {"process", {true, "beta_start, beta_end"}},
      {"process.steps", {true, "num_train_timesteps"}},
      {"process.kind", {true, "beta_schedule"}},
      {"objective.prediction", {true, "prediction_type"}},
      {"objective.variance", {true, "variance_type"}},
      {"sample.dynamic_threshold", {true, "dynamic_thresholding_ratio"}}};
  const auto found = kKeys.find(key);
  return found == kKeys.end() ? std::nullopt : std::optional(found->second);
}

DiffusersModel from_diffusers(const NamedText& network, const NamedText& scheduler,
                              std::optional<int64_t> side) {
  DiffusersModel model;
  JsonKeys network_keys(network.text, network.origin);
  const int64_t out_channels = read_network(network_keys, side, model);
  network_keys.finish();
  JsonKeys scheduler_keys(scheduler.text, scheduler.origin);
  read_scheduler(scheduler_keys, out_channels, model);
  scheduler_keys.finish();
  return model;
}

}  // namespace ddpm_eval::ddpm
