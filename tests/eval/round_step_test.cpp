#include "eval/round_step.h"

#include <gtest/gtest.h>

namespace ddpm_eval::eval {
namespace {

TEST(RoundStep, IsTheNextOfOneTwoAndFive) {
  EXPECT_EQ(round_step(1), 1);
  EXPECT_EQ(round_step(1.01), 2);
  EXPECT_EQ(round_step(2.5), 5);
  EXPECT_EQ(round_step(5), 5);
  EXPECT_EQ(round_step(5.01), 10);
  EXPECT_EQ(round_step(720), 1000);
  EXPECT_DOUBLE_EQ(round_step(0.003), 0.005);
}

}  // namespace
}  // namespace ddpm_eval::eval
