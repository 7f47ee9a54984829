#include "base/training/loss_watch.h"

#include "tests/support/errors.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ddpm_eval::training {
namespace {

using ::testing::HasSubstr;
using testing::message_of;

constexpr LossLimit kLimit{.factor = 2, .steps = 3};

/// Losses 1..100 in a mixed order: their upper median is 51.
LossWatch filled() {
  LossWatch watch;
  for (int64_t i = 0; i < 100; ++i) {
    EXPECT_FALSE(watch.diverges(static_cast<double>(1 + i * 37 % 100), kLimit));
  }
  return watch;
}

TEST(LossWatch, NothingIsJudgedBeforeAHundredLosses) {
  LossWatch watch;
  for (int i = 0; i < 99; ++i) {
    EXPECT_FALSE(watch.diverges(std::pow(2.0, i), kLimit));
  }
  EXPECT_EQ(watch.median(), 0);
}

TEST(LossWatch, ItTakesSoManyStepsInARow) {
  LossWatch watch = filled();
  EXPECT_EQ(watch.median(), 51);
  EXPECT_FALSE(watch.diverges(103, kLimit));
  EXPECT_FALSE(watch.diverges(1e9, kLimit));
  EXPECT_FALSE(watch.diverges(102, kLimit)) << "at the limit is not above";
  EXPECT_EQ(watch.steps_above(), 0);
  EXPECT_FALSE(watch.diverges(1e9, kLimit));
  EXPECT_FALSE(watch.diverges(1e9, kLimit));
  EXPECT_TRUE(watch.diverges(1e9, kLimit));
  EXPECT_EQ(watch.steps_above(), 3);
}

TEST(LossWatch, LossesAboveTheLimitDoNotMoveIt) {
  LossWatch watch = filled();
  for (int i = 0; i < 1000; ++i) {
    watch.diverges(1000, {.factor = 2, .steps = 5000});
  }
  EXPECT_EQ(watch.median(), 51);
  for (int i = 0; i < 100; ++i) {
    watch.diverges(60, kLimit);
  }
  EXPECT_EQ(watch.median(), 60) << "others do, and the oldest go";
}

TEST(LossWatch, OffKeepsNothing) {
  LossWatch watch;
  for (int i = 0; i < 200; ++i) {
    EXPECT_FALSE(watch.diverges(std::pow(2.0, i), LossLimit{}));
  }
  EXPECT_TRUE(watch.empty());
}

TEST(LossWatch, ExactRoundTrip) {
  LossWatch watch = filled();
  watch.diverges(1.0 / 3.0, kLimit);
  watch.diverges(1e300, kLimit);
  const auto json = watch.to_json();
  LossWatch back = LossWatch::from_json(json, "test");
  EXPECT_EQ(back.to_json(), json);
  EXPECT_EQ(back.steps_above(), 1);
  EXPECT_FALSE(back.diverges(1e300, kLimit));
  EXPECT_TRUE(back.diverges(1e300, kLimit));
}

TEST(LossWatch, DamagedText) {
  for (const char* text : {"", "[]", "{}", R"({"losses":[]})", R"({"losses":[null],"steps_above":0})",
                           R"({"losses":[1],"steps_above":-1})", R"({"losses":1,"steps_above":0})"}) {
    EXPECT_THAT(message_of<core::DataError>([&] { LossWatch::from_json(text, "run/x"); }), HasSubstr("run/x"))
        << text;
  }
}

}  // namespace
}  // namespace ddpm_eval::training
