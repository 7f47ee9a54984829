#include "ddpm/model_factory.h"

#include "base/core/error.h"
#include "base/tensor/noise.h"
#include "base/training/loop.h"
#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tensor_matchers.h"

#include <gmock/gmock.h>

namespace ddpm_eval::ddpm {
namespace {

using ::testing::HasSubstr;
using testing::message_of;
using testing::TensorEq;
using testing::TensorNear;

RunConfig points_config() {
  RunConfig config;
  config.data.source = "swiss-roll";
  config.model.kind = NetworkKind::kMlp;
  config.model.mlp.width = 8;
  config.process = {.steps = 40, .rescale = true};
  config.train.flip = false;
  config.train.batch_size = 16;
  config.train.loop.steps = 3;
  config.train.loop.warmup_steps = 0;
  config.sample.clip = false;
  config.sample.micro_batch = 10;
  return config;
}

RunConfig images_config() {
  RunConfig config;
  config.data.source = "fashion-mnist:train";
  config.model.unet = {.base_channels = 8,
                       .multipliers = {1, 2},
                       .res_blocks = 1,
                       .attention_resolutions = {},
                       .dropout = 0.1,
                       .groups = 4};
  config.process.steps = 10;
  config.train.batch_size = 4;
  config.train.loop.steps = 2;
  config.train.loop.warmup_steps = 0;
  config.sample.micro_batch = 4;
  return config;
}

at::Tensor far_points() {
  const auto scale = torch::tensor({2.0F, 0.5F});
  const auto shift = torch::tensor({10.0F, -3.0F});
  return tensor::normal_rows({1, "points"}, tensor::index_range(0, 500), 0, {2}) * scale + shift;
}

TEST(ModelFactory, PointsAreStandardisedAndPutBack) {
  const auto config = points_config();
  auto model = make_model(config, {2});
  const auto data = far_points();
  const auto task = make_task(config, model, data);
  EXPECT_THAT(model.mean, TensorNear(data.mean(0), 1e-5));
  EXPECT_THAT(model.std, TensorNear(data.std(0, /*unbiased=*/false), 1e-5));
  EXPECT_LT(task->batch(0).x_0.abs().max().item<double>(), 5);
  // The untrained network gives eps = 0, so samples are what the chain makes of noise; in the data's units.
  const auto x_0 = sample(*model.network, model.process, {}, config.sample, tensor::index_range(0, 10), {2});
  EXPECT_THAT(sample_data(model, config.sample, tensor::index_range(0, 10)),
              TensorEq(x_0 * model.std + model.mean));
}

TEST(ModelFactory, StandardisingCanBeLeftOut) {
  auto config = points_config();
  config.data.standardise = false;
  auto model = make_model(config, {2});
  make_task(config, model, far_points());
  EXPECT_THAT(model.std, TensorEq(torch::ones({2})));
}

TEST(ModelFactory, CheckpointsRestoreTheModel) {
  for (const bool images : {false, true}) {
    const testing::TempDir folder;
    const auto config = images ? images_config() : points_config();
    const auto data =
        images ? torch::arange(10 * 64).remainder(256).to(torch::kUInt8).view({10, 1, 8, 8}) : far_points();
    auto model = make_model(config, data.sizes().slice(1));
    const auto task = make_task(config, model, data);
    auto state = training::new_state(*task, config.train.loop);
    training::run_loop(*task, config.train.loop, {folder.path(), core::config_to_json(config)}, state);

    const auto restored = restore_model(training::load_model_weights(folder.path()), folder.path().string());
    EXPECT_EQ(restored.row_shape, model.row_shape);
    const auto before = sample_data(model, config.sample, tensor::index_range(0, 5));
    const auto after = sample_data(restored, config.sample, tensor::index_range(0, 5));
    EXPECT_THAT(after, TensorEq(before));
    EXPECT_EQ(after.scalar_type(), images ? torch::kUInt8 : torch::kFloat32);
    const auto averaged = restore_model(training::load_ema_weights(folder.path()), folder.path().string());
    EXPECT_THAT(averaged.buffers()[0].tensor, TensorEq(restored.buffers()[0].tensor));
    if (!images) {
      EXPECT_THAT(averaged.mean, TensorEq(model.mean));
    }
  }
}

TEST(ModelFactory, RefusesCheckpointsOfSomethingElse) {
  const auto config = points_config();
  const auto model = make_model(config, {2});
  training::SavedWeights weights{.parameters = model.network->parameters(),
                                 .buffers = model.buffers(),
                                 .step = 0,
                                 .config_json = core::config_to_json(config),
                                 .sha256 = {}};
  const auto refusal = [&] { return message_of<core::DataError>([&] { restore_model(weights, "run"); }); };
  weights.parameters.pop_back();
  EXPECT_EQ(refusal(), "run: tensor 'out.bias' is missing");
  weights.parameters = model.network->parameters();
  weights.parameters.push_back({"out.more", torch::zeros({1})});
  EXPECT_EQ(refusal(), "run: tensor 'out.more' is not part of this network");
  weights.parameters = model.network->parameters();
  weights.parameters[0].tensor = weights.parameters[0].tensor.detach().to(torch::kFloat64);
  EXPECT_THAT(refusal(), HasSubstr("run: tensor 'time.0.weight' is float64"));
  weights.parameters = model.network->parameters();
  auto wide = config;
  wide.model.mlp.width = 4096;  // refused by the first tensor, before memory is taken for the rest
  weights.config_json = core::config_to_json(wide);
  EXPECT_THAT(refusal(),
              HasSubstr("run: tensor 'time.0.weight' is float32 [8, 8] where float32 [4096, 4096]"));
  wide.model.mlp.width = 3;
  weights.config_json = core::config_to_json(wide);
  EXPECT_THAT(refusal(), HasSubstr("run: the checkpoint's configuration is not usable: model.mlp.width: 3"));
  weights.config_json = "{\"model\": {\"kind\": \"transformer\"}}";
  EXPECT_THAT(refusal(), HasSubstr("run: the checkpoint's configuration is not usable"));
  weights.config_json = core::config_to_json(config);
  weights.buffers[0].tensor = torch::tensor({int64_t{1} << 40});
  EXPECT_THAT(refusal(), HasSubstr("data.shape"));
  weights.buffers.clear();
  EXPECT_THAT(refusal(), HasSubstr("not a checkpoint of a diffusion model"));
}

TEST(ModelFactory, RefusesNetworksThatDoNotSuitTheData) {
  const auto refusal = [](const RunConfig& config, at::IntArrayRef shape) {
    return message_of<core::UsageError>([&] { make_model(config, shape); });
  };
  EXPECT_EQ(refusal(points_config(), {1, 8, 8}),
            "model.kind: 'mlp' is for points, and swiss-roll has images; use 'unet'");
  EXPECT_THAT(refusal(images_config(), {2}), HasSubstr("'unet' is for images"));
  EXPECT_THAT(refusal(images_config(), {1, 8, 6}), HasSubstr("square images"));
  EXPECT_THAT(refusal(images_config(), {1, 7, 7}), HasSubstr("side 7 cannot be halved"));
}

TEST(ModelFactory, RefusesPointsThatCannotBeStandardised) {
  const auto config = points_config();
  auto model = make_model(config, {2});
  EXPECT_THAT(message_of<core::DataError>([&] {
                make_task(config, model, torch::zeros({5, 2}));
              }),
              HasSubstr("a coordinate is constant or not finite"));
}

}  // namespace
}  // namespace ddpm_eval::ddpm
