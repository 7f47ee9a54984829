#include "eval/health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ddpm_eval::eval {
namespace {

using ::testing::HasSubstr;

training::LogLine line_at(int64_t step, double loss) {
  training::LogLine line;
  line.step = step;
  line.loss = loss;
  line.entries = {{"loss_q0", 0.25}, {"loss_q1", 0.06}, {"loss_q3", 0.004}};
  line.grad_norm = 0.5;
  line.clipped_share = 0.25;
  line.images_per_second = 262;
  line.seconds_left = 150;
  return line;
}

TEST(Health, TheLossIsHeldAgainstAnsweringZero) {
  ddpm::RunConfig config;
  config.data.source = "mnist:train";
  config.train.loop.steps = 1200;
  Health health(config, 2.0);
  EXPECT_EQ(health.reference(600), (training::StepLog{{"loss_of_zero", 2.0}}));
  EXPECT_EQ(health.line(line_at(600, 0.05)),
            "step 600/1200: loss 0.05 (2.5 % of answering 0; quarters 0.25 0.06 - 0.004), gradient norm 0.5, "
            "25 % clipped, 262 images/s, 2m30s left");
}

TEST(Health, AndOfABoundAgainstTheLineBefore) {
  Health health({}, std::nullopt);
  EXPECT_TRUE(health.reference(10).empty());
  EXPECT_THAT(health.line(line_at(10, 7)), HasSubstr("loss 7 (quarters"));
  EXPECT_THAT(health.line(line_at(20, 6)), HasSubstr("loss 6 (before 7; quarters"));
}

TEST(Health, PublishedLossesAreOfThePapersRunAlone) {
  const ddpm::RunConfig paper;
  EXPECT_TRUE(is_paper_run(paper));
  Health health(paper, 1.0);
  EXPECT_FALSE(health.reference(46'799).contains("loss_published")) << "nothing is known of the beginning";
  auto line = line_at(46'800, 0.0301);
  line.entries.merge(health.reference(line.step));
  EXPECT_THAT(health.line(line), HasSubstr("loss 0.0301 (published 0.0295; quarters"));

  const auto differs = [](auto change) {
    ddpm::RunConfig config;
    change(config);
    return !is_paper_run(config);
  };
  EXPECT_TRUE(differs([](auto& c) { c.data.source = "cifar10:test"; }));
  EXPECT_TRUE(differs([](auto& c) { c.data.source = "cifar10:train?num=100"; }));
  EXPECT_TRUE(differs([](auto& c) { c.train.batch_size = 64; }));
  EXPECT_TRUE(differs([](auto& c) { c.objective.parameterisation.prediction = ddpm::Prediction::kV; }));
  EXPECT_TRUE(differs([](auto& c) { c.objective.loss = ddpm::Loss::kBound; }));
  EXPECT_TRUE(differs([](auto& c) { c.model.unet.base_channels = 64; }));
  EXPECT_TRUE(differs([](auto& c) { c.process.steps = 500; }));
  EXPECT_TRUE(differs([](auto& c) { c.train.loop.learning_rate = 1e-4; }));
  EXPECT_FALSE(differs([](auto& c) { c.train.seed = 5; }));
}

TEST(Health, PublishedLossesFallAlongTheRun) {
  EXPECT_FALSE(published_loss(0));
  EXPECT_DOUBLE_EQ(published_loss(46'800).value(), 0.0295);
  EXPECT_DOUBLE_EQ(published_loss(400'000).value(), 0.028);
  EXPECT_DOUBLE_EQ(published_loss(796'000).value(), 0.0277);
  EXPECT_NEAR(published_loss(136'821).value(), 0.02875, 1e-6) << "the geometric mean of 46,800 and 400,000";
  EXPECT_FALSE(published_loss(796'001));
}

}  // namespace
}  // namespace ddpm_eval::eval
