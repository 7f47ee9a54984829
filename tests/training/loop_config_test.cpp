#include "base/training/loop_config.h"

#include "tests/support/errors.h"

#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ddpm_eval::training {
namespace {

using ::testing::HasSubstr;
using testing::message_of;
using ::testing::StartsWith;

TEST(LoopConfig, DefaultsAreThePapers) {
  const LoopConfig config;
  config.validate();
  EXPECT_EQ(config.steps, 800000);
  EXPECT_EQ(config.learning_rate, 2e-4);
  EXPECT_EQ(config.warmup_steps, 5000);
  EXPECT_EQ(config.ema_decay, 0.9999);
  EXPECT_EQ(config.clip_norm, 1.0);
}

TEST(LoopConfig, WarmUpRisesFromZero) {
  const LoopConfig config;
  EXPECT_EQ(learning_rate_at(config, 0), 0);
  EXPECT_DOUBLE_EQ(learning_rate_at(config, 1), 4e-8);
  EXPECT_DOUBLE_EQ(learning_rate_at(config, 2500), 1e-4);
  EXPECT_EQ(learning_rate_at(config, 5000), 2e-4);
  EXPECT_EQ(learning_rate_at(config, 799999), 2e-4);
  LoopConfig none;
  none.warmup_steps = 0;
  EXPECT_EQ(learning_rate_at(none, 0), 2e-4);
}

TEST(LoopConfig, CosineFallsToZero) {
  LoopConfig config;
  config.lr_schedule = "cosine";
  config.warmup_steps = 10;
  config.steps = 1000;
  config.learning_rate = 1;
  EXPECT_EQ(learning_rate_at(config, 0), 0);
  EXPECT_NEAR(learning_rate_at(config, 250), 0.853553390593274, 1e-12);
  EXPECT_NEAR(learning_rate_at(config, 500), 0.5, 1e-12);
  EXPECT_NEAR(learning_rate_at(config, 999), 2.467e-6, 1e-9);
}

TEST(LoopConfig, RoundTripsThroughJson) {
  LoopConfig config;
  config.steps = 17;
  config.eps = 1e-7;
  config.ema_ramp = true;
  config.lr_schedule = "cosine";
  const std::string json = core::config_to_json(config);
  auto tree = core::ConfigTree::from_json(json, "test");
  LoopConfig back;
  core::read_config(tree, back);
  EXPECT_EQ(core::config_to_json(back), json);
}

TEST(LoopConfig, RefusesBadValuesNamingTheKey) {
  const std::vector<std::pair<std::string, std::function<void(LoopConfig&)>>> cases{
      {"train.steps", [](LoopConfig& c) { c.steps = 0; }},
      {"train.learning_rate", [](LoopConfig& c) { c.learning_rate = 0; }},
      {"train.warmup_steps", [](LoopConfig& c) { c.warmup_steps = -1; }},
      {"train.lr_schedule", [](LoopConfig& c) { c.lr_schedule = "linear"; }},
      {"train.beta1", [](LoopConfig& c) { c.beta1 = 1; }},
      {"train.beta2", [](LoopConfig& c) { c.beta2 = -0.1; }},
      {"train.eps", [](LoopConfig& c) { c.eps = 0; }},
      {"train.weight_decay", [](LoopConfig& c) { c.weight_decay = -1; }},
      {"train.clip_norm", [](LoopConfig& c) { c.clip_norm = -1; }},
      {"train.ema_decay", [](LoopConfig& c) { c.ema_decay = 1; }},
      {"train.accumulate", [](LoopConfig& c) { c.accumulate = 0; }},
      {"train.diverged_factor", [](LoopConfig& c) { c.diverged_factor = 1; }},
      {"train.diverged_factor", [](LoopConfig& c) { c.diverged_factor = -1; }},
      {"train.diverged_steps", [](LoopConfig& c) { c.diverged_steps = 0; }},
      {"train.log_every", [](LoopConfig& c) { c.log_every = -1; }},
      {"train.checkpoint_every", [](LoopConfig& c) { c.checkpoint_every = -5; }},
      {"train.time_limit_s", [](LoopConfig& c) { c.time_limit_s = -5; }},
  };
  for (const auto& [key, spoil] : cases) {
    LoopConfig config;
    spoil(config);
    const auto message = message_of<core::UsageError>([&] { config.validate("train"); });
    EXPECT_THAT(message, StartsWith(key + ": "));
  }
}

TEST(LoopConfig, RefusesATimeLimitWithTheCosineSchedule) {
  LoopConfig config;
  config.lr_schedule = "cosine";
  config.time_limit_s = 60;
  EXPECT_THAT(message_of<core::UsageError>([&] { config.validate(); }), HasSubstr("cosine"));
}

TEST(LoopConfig, StepsMayChangeOnlyWhenTheScheduleAllows) {
  LoopConfig config;
  EXPECT_THAT(config.resumable_keys("train"), ::testing::Contains("train.steps"));
  EXPECT_THAT(config.resumable_keys(), ::testing::Contains("time_limit_s"));
  config.lr_schedule = "cosine";
  EXPECT_THAT(config.resumable_keys("train"), ::testing::Not(::testing::Contains("train.steps")));
}

}  // namespace
}  // namespace ddpm_eval::training
