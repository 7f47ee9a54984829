#include "base/core/seeds.h"

#include <gtest/gtest.h>

namespace ddpm_eval::core {

TEST(Seeds, MixIsSplitMix64) {
  // First outputs of SplitMix64 seeded with 0 and 1234567 (values published with the algorithm).
  EXPECT_EQ(mix64(0), 0xe220a8397b1dcdafULL);
  EXPECT_EQ(mix64(1234567), 6457827717110365317ULL);
}

TEST(Seeds, PurposesAndSeedsGiveDifferentKeys) {
  EXPECT_NE(stream_key(0, "a"), stream_key(0, "b"));
  EXPECT_NE(stream_key(0, "a"), stream_key(1, "a"));
  EXPECT_EQ(stream_key(7, "sample.noise"), stream_key(7, "sample.noise"));
}

}  // namespace ddpm_eval::core
