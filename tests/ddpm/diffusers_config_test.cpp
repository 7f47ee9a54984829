#include "ddpm/interchange/diffusers_config.h"

#include "base/core/error.h"
#include "tests/support/errors.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::ddpm {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using Json = nlohmann::ordered_json;
using testing::message_of;

/// The values of google/ddpm-cifar10-32.
Json cifar10_network() {
  return Json::parse(R"({"_class_name": "UNet2DModel", "_diffusers_version": "0.0.4", "act_fn": "silu",
    "attention_head_dim": null, "block_out_channels": [128, 256, 256, 256], "center_input_sample": false,
    "down_block_types": ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"],
    "downsample_padding": 0, "flip_sin_to_cos": false, "freq_shift": 1, "in_channels": 3,
    "layers_per_block": 2, "mid_block_scale_factor": 1, "norm_eps": 1e-06, "norm_num_groups": 32,
    "out_channels": 3, "sample_size": 32, "time_embedding_type": "positional",
    "up_block_types": ["UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"]})");
}

Json cifar10_scheduler() {
  return Json::parse(R"({"_class_name": "DDPMScheduler", "_diffusers_version": "0.1.1", "beta_end": 0.02,
    "beta_schedule": "linear", "beta_start": 0.0001, "clip_sample": true, "num_train_timesteps": 1000,
    "tensor_format": "pt", "trained_betas": null, "variance_type": "fixed_large"})");
}

DiffusersModel read(const Json& network, const Json& scheduler, std::optional<int64_t> side = std::nullopt) {
  return from_diffusers({network.dump(), "config.json"}, {scheduler.dump(), "scheduler_config.json"}, side);
}

std::string network_refusal(const char* key, const Json& value) {
  auto network = cifar10_network();
  network[key] = value;
  return message_of<core::DataError>([&] { read(network, cifar10_scheduler()); });
}

std::string scheduler_refusal(const char* key, const Json& value) {
  auto scheduler = cifar10_scheduler();
  scheduler[key] = value;
  return message_of<core::DataError>([&] { read(cifar10_network(), scheduler); });
}

DiffusersModel with_scheduler(const Json& changes) {
  auto scheduler = cifar10_scheduler();
  scheduler.update(changes);
  return read(cifar10_network(), scheduler);
}

TEST(DiffusersConfig, TheCifar10ModelIsThePapers) {
  const auto model = read(cifar10_network(), cifar10_scheduler());
  RunConfig wanted;  // whose defaults are the paper's
  wanted.model.unet.dropout = 0;
  wanted.sample.spacing = Spacing::kLeading;
  EXPECT_EQ(core::config_to_json(model.config), core::config_to_json(wanted));
  EXPECT_THAT(model.row_shape, ElementsAre(3, 32, 32));
  EXPECT_THAT(model.notes, IsEmpty());
}

TEST(DiffusersConfig, WhatTheNetworkCannotDoIsRefusedByKey) {
  const std::vector<std::pair<const char*, Json>> refused = {
      {"_class_name", "UNet2DConditionModel"},
      {"act_fn", "gelu"},
      {"center_input_sample", true},
      {"time_embedding_type", "fourier"},
      {"flip_sin_to_cos", true},
      {"freq_shift", 0},
      {"downsample_padding", 1},
      {"downsample_type", "resnet"},
      {"upsample_type", "resnet"},
      {"mid_block_scale_factor", 1.4142},
      {"mid_block_type", "UnCLIPUNetMidBlock2D"},
      {"norm_eps", 1e-5},
      {"resnet_time_scale_shift", "scale_shift"},
      {"add_attention", false},
      {"class_embed_type", "timestep"},
      {"num_class_embeds", 10},
      {"attn_norm_num_groups", 16},
      {"attention_head_dim", 8},
      {"attention_head_dim", "8"},
      {"block_out_channels", {128, 192}},
      {"block_out_channels", {128, 256}},
      {"block_out_channels", Json::array()},
      {"block_out_channels", {0, 0, 0, 0}},
      {"layers_per_block", 2.5},
      {"sample_size", {32, 64}},
      {"sample_size", nullptr},
      {"sample_size", "32"},
      {"sample_size", 65'537},
      {"in_channels", 0},
      {"in_channels", int64_t{1} << 62},
      {"block_out_channels", std::vector<int>(100, 128)},
      {"dropout", "much"},
      {"num_frames", 8}};
  for (const auto& [key, value] : refused) {
    const auto message = network_refusal(key, value);
    if (std::string(key) == "block_out_channels" && value == Json({128, 256})) {
      EXPECT_EQ(message, "config.json: down_block_types: 4 blocks, and block_out_channels has 2");
    } else {
      EXPECT_THAT(message, StartsWith(std::string("config.json: ") + key + ": "));
    }
  }
  EXPECT_EQ(
      network_refusal("downsample_padding", 1),
      "config.json: downsample_padding: 1, and this network pads right and bottom alone when halving: 0 is "
      "needed");
  EXPECT_THAT(network_refusal("num_frames", 8), HasSubstr("8; this program does not know the key"));
  EXPECT_THAT(network_refusal("up_block_types", {"UpBlock2D", "UpBlock2D", "UpBlock2D", "UpBlock2D"}),
              StartsWith("config.json: up_block_types: level 1 has attention in one half alone"));
  EXPECT_THAT(network_refusal("down_block_types",
                              {"SkipDownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"}),
              StartsWith("config.json: down_block_types: 'SkipDownBlock2D', and this network has"));
  EXPECT_EQ(message_of<core::DataError>([] {
              from_diffusers({"[1]", "config.json"}, {"{}", "scheduler_config.json"}, std::nullopt);
            }),
            "config.json: is not a JSON object");
}

TEST(DiffusersConfig, AMissingKeyHasDiffusersDefault) {
  for (const char* key : {"downsample_padding", "norm_eps", "flip_sin_to_cos", "freq_shift"}) {
    auto network = cifar10_network();
    network.erase(key);
    EXPECT_THAT(message_of<core::DataError>([&] { read(network, cifar10_scheduler()); }),
                ::testing::AllOf(StartsWith(std::string("config.json: ") + key + ": "),
                                 HasSubstr("which diffusers takes where it is missing")));
  }
  auto network = cifar10_network();
  for (const char* key : {"act_fn", "center_input_sample", "layers_per_block", "norm_num_groups"}) {
    network.erase(key);
  }
  network["some_new_key"] = nullptr;
  EXPECT_EQ(read(network, cifar10_scheduler()).config.model.unet.res_blocks, 2);
}

TEST(DiffusersConfig, AttentionHasOneHeadOfFullWidth) {
  auto network = cifar10_network();
  network["attention_head_dim"] = 256;
  EXPECT_THAT(read(network, cifar10_scheduler()).notes, IsEmpty());
  network["attention_head_dim"] = 128;
  EXPECT_THAT(message_of<core::DataError>([&] { read(network, cifar10_scheduler()); }),
              HasSubstr("attention_head_dim: heads of 128 for 256 channels"));
  network.erase("attention_head_dim");
  EXPECT_THAT(read(network, cifar10_scheduler()).notes,
              ElementsAre("attention_head_dim is missing: one head of full width, as in diffusers 0.0.4"));
  for (const char* version : {"0.1.3", "0.27.2", ""}) {
    network["_diffusers_version"] = version;
    EXPECT_THAT(
        message_of<core::DataError>([&] { read(network, cifar10_scheduler()); }),
        StartsWith("config.json: attention_head_dim: is missing, which diffusers takes as heads of 8"));
  }
  // The width of the middle alone is not enough where a level of another width attends.
  network["attention_head_dim"] = 256;
  network["down_block_types"][0] = "AttnDownBlock2D";
  network["up_block_types"][3] = "AttnUpBlock2D";
  EXPECT_THAT(message_of<core::DataError>([&] { read(network, cifar10_scheduler()); }),
              HasSubstr("heads of 256 for 128 channels"));
  network["attention_head_dim"] = nullptr;
  EXPECT_THAT(read(network, cifar10_scheduler()).config.model.unet.attention_resolutions,
              ElementsAre(32, 16));
}

TEST(DiffusersConfig, TheSideMayBeGiven) {
  auto network = cifar10_network();
  EXPECT_THAT(read(network, cifar10_scheduler(), 32).row_shape, ElementsAre(3, 32, 32));
  EXPECT_EQ(message_of<core::DataError>([&] { read(network, cifar10_scheduler(), 64); }),
            "config.json: sample_size: 32, and not --side 64");
  network["sample_size"] = nullptr;
  EXPECT_THAT(read(network, cifar10_scheduler(), 64).config.model.unet.attention_resolutions,
              ElementsAre(32));
  network["sample_size"] = {32, 32};
  EXPECT_THAT(read(network, cifar10_scheduler()).row_shape, ElementsAre(3, 32, 32));
}

TEST(DiffusersConfig, SchedulersBecomeProcessObjectiveAndSampler) {
  EXPECT_EQ(with_scheduler({{"beta_schedule", "scaled_linear"}}).config.process.kind, "quad");
  EXPECT_EQ(with_scheduler({{"beta_schedule", "squaredcos_cap_v2"}}).config.process.kind, "cosine");
  EXPECT_EQ(with_scheduler({{"beta_schedule", "sigmoid"}}).config.process.kind, "sigmoid");
  const auto process =
      with_scheduler({{"beta_start", 0.001}, {"beta_end", 0.3}, {"num_train_timesteps", 50}});
  EXPECT_EQ(process.config.process.beta_start, 0.001);
  EXPECT_EQ(process.config.process.beta_end, 0.3);
  EXPECT_EQ(process.config.process.steps, 50);
  const auto prediction = [](const Json& changes) {
    return with_scheduler(changes).config.objective.parameterisation.prediction;
  };
  EXPECT_EQ(prediction({{"prediction_type", "sample"}}), Prediction::kX0);
  EXPECT_EQ(prediction({{"prediction_type", "v_prediction"}}), Prediction::kV);
  EXPECT_EQ(prediction({{"predict_epsilon", false}}), Prediction::kX0);
  EXPECT_EQ(prediction({{"predict_epsilon", true}}), Prediction::kEps);
  const auto variance = [](const char* word) {
    return with_scheduler({{"variance_type", word}}).config.objective.parameterisation.variance;
  };
  EXPECT_EQ(variance("fixed_small"), ModelVariance::kFixedSmall);
  EXPECT_EQ(variance("fixed_small_log"), ModelVariance::kFixedSmall);
  EXPECT_EQ(variance("fixed_large"), ModelVariance::kFixedLarge);
  EXPECT_EQ(variance("fixed_large_log"), ModelVariance::kFixedLarge);
  EXPECT_THAT(with_scheduler({{"variance_type", "fixed_large_log"}}).notes,
              ElementsAre(HasSubstr("diffusers' own sampler makes NaN of it")));
  auto without = cifar10_scheduler();
  without.erase("variance_type");
  EXPECT_EQ(read(cifar10_network(), without).config.objective.parameterisation.variance,
            ModelVariance::kFixedSmall);
  EXPECT_FALSE(with_scheduler({{"clip_sample", false}, {"clip_sample_range", 2.0}}).config.sample.clip);
  EXPECT_EQ(with_scheduler({{"timestep_spacing", "trailing"}}).config.sample.spacing, Spacing::kTrailing);
  // At its default of 1 the limit makes plain clipping of it.
  EXPECT_EQ(with_scheduler({{"thresholding", true}}).config.sample.dynamic_threshold, 0);
  const auto dynamic = with_scheduler(
      {{"thresholding", true}, {"dynamic_thresholding_ratio", 0.9}, {"sample_max_value", 1e6}});
  EXPECT_EQ(dynamic.config.sample.dynamic_threshold, 0.9);
}

TEST(DiffusersConfig, DdimsSchedulerNamesTheSampler) {
  auto scheduler = cifar10_scheduler();
  scheduler["_class_name"] = "DDIMScheduler";
  scheduler["set_alpha_to_one"] = true;
  scheduler.erase("variance_type");
  const auto model = read(cifar10_network(), scheduler);
  EXPECT_EQ(model.config.sample.sampler, Sampler::kDdim);
  EXPECT_FALSE(model.config.sample.rederive);
  EXPECT_EQ(model.config.objective.parameterisation.variance, ModelVariance::kFixedSmall);
  EXPECT_THAT(model.notes, ElementsAre(HasSubstr("does not say the model's variance")));
}

TEST(DiffusersConfig, ALearnedRangeNeedsTwiceTheChannels) {
  auto network = cifar10_network();
  network["out_channels"] = 6;
  auto scheduler = cifar10_scheduler();
  EXPECT_EQ(
      message_of<core::DataError>([&] { read(network, scheduler); }),
      "scheduler_config.json: variance_type: 'fixed_large' needs out_channels 3 for in_channels 3, and the "
      "network has 6");
  scheduler["variance_type"] = "learned_range";
  const auto model = read(network, scheduler);
  EXPECT_EQ(model.config.objective.parameterisation.variance, ModelVariance::kLearnedRange);
  model.config.validate();
  EXPECT_THAT(model.notes, ElementsAre(HasSubstr("objective.loss is set to 'hybrid'")));
  EXPECT_THAT(scheduler_refusal("variance_type", "learned_range"), HasSubstr("needs out_channels 6"));
}

TEST(DiffusersConfig, WhatTheProcessCannotDoIsRefusedByKey) {
  const std::vector<std::pair<const char*, Json>> refused = {{"_class_name", "PNDMScheduler"},
                                                             {"trained_betas", {0.1, 0.2}},
                                                             {"rescale_betas_zero_snr", true},
                                                             {"steps_offset", 1},
                                                             {"set_alpha_to_one", false},
                                                             {"beta_schedule", "laplace"},
                                                             {"prediction_type", "flow_prediction"},
                                                             {"variance_type", "learned"},
                                                             {"variance_type", "odd"},
                                                             {"timestep_spacing", "odd"},
                                                             {"clip_sample_range", 2.0},
                                                             {"clip_sample", 1},
                                                             {"num_train_timesteps", "many"},
                                                             {"beta_end", "large"},
                                                             {"use_karras_sigmas", true}};
  for (const auto& [key, value] : refused) {
    EXPECT_THAT(scheduler_refusal(key, value),
                StartsWith(std::string("scheduler_config.json: ") + key + ": "));
  }
  EXPECT_EQ(scheduler_refusal("beta_schedule", "laplace"),
            "scheduler_config.json: beta_schedule: 'laplace' is not among what this program has: linear, "
            "scaled_linear, squaredcos_cap_v2, sigmoid");
  EXPECT_THAT(message_of<core::DataError>([] {
                with_scheduler({{"thresholding", true}, {"sample_max_value", 2}});
              }),
              StartsWith("scheduler_config.json: sample_max_value: 2, and this program"));
}

/// What an export keeps.
RunConfig unusual() {
  RunConfig config;
  config.model.unet = {.base_channels = 16,
                       .multipliers = {1, 3},
                       .res_blocks = 1,
                       .attention_resolutions = {16},
                       .dropout = 0.25,
                       .groups = 8};
  config.process = {.kind = "sigmoid", .steps = 100, .beta_start = 2e-4, .beta_end = 0.03};
  config.objective.parameterisation = {.prediction = Prediction::kV,
                                       .variance = ModelVariance::kLearnedRange};
  config.objective.loss = Loss::kHybrid;
  config.sample.spacing = Spacing::kTrailing;
  config.sample.dynamic_threshold = 0.995;
  return config;
}

DiffusersModel back(const RunConfig& config, const std::vector<int64_t>& shape) {
  const auto texts = to_diffusers(config, shape);
  return from_diffusers({texts.network, "config.json"}, {texts.scheduler, "scheduler_config.json"},
                        std::nullopt);
}

TEST(DiffusersConfig, AnExportReadsBack) {
  const auto config = unusual();
  const auto model = back(config, {1, 32, 32});
  EXPECT_EQ(core::config_to_json(model.config), core::config_to_json(config));
  EXPECT_THAT(model.row_shape, ElementsAre(1, 32, 32));
}

TEST(DiffusersConfig, SpacingsThatDiffusersDoesNotHaveBecomeItsDefault) {
  auto config = unusual();
  for (const auto spacing : {Spacing::kUniform, Spacing::kQuad}) {
    config.sample.spacing = spacing;
    EXPECT_EQ(back(config, {1, 32, 32}).config.sample.spacing, Spacing::kLeading);
  }
}

TEST(DiffusersConfig, ARescaledScheduleIsExportedAsTheBetasThatItHas) {
  auto config = unusual();
  config.process = {.steps = 200, .rescale = true};
  const auto process = back(config, {1, 32, 32}).config.process;
  EXPECT_FALSE(process.rescale);
  EXPECT_EQ(make_betas(process), make_betas(config.process));
}

TEST(DiffusersConfig, WhatDiffusersDoesNotHaveIsRefusedByKey) {
  const auto refusal = [](const std::function<void(RunConfig&)>& change) {
    auto config = unusual();
    change(config);
    return message_of<core::UsageError>([&] { to_diffusers(config, {1, 32, 32}); });
  };
  EXPECT_EQ(refusal([](RunConfig& c) { c.objective.parameterisation.prediction = Prediction::kMuTilde; }),
            "objective.prediction: diffusers has nothing like 'mu'; this run cannot be exported");
  EXPECT_THAT(refusal([](RunConfig& c) { c.objective.parameterisation.variance = ModelVariance::kLearned; }),
              StartsWith("objective.variance: diffusers has nothing like 'learned'"));
  for (const char* kind : {"const", "warmup10", "warmup50", "jsd"}) {
    EXPECT_THAT(refusal([&](RunConfig& c) { c.process.kind = kind; }),
                StartsWith(std::string("process.kind: diffusers has nothing like '") + kind));
  }
  EXPECT_THAT(refusal([](RunConfig& c) { c.model.kind = NetworkKind::kMlp; }), StartsWith("model.kind: "));
}

}  // namespace
}  // namespace ddpm_eval::ddpm
