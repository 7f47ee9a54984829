#include "base/core/environment.h"

#include "tests/support/environment.h"

#include <gtest/gtest.h>

namespace ddpm_eval::core {
namespace {

TEST(Environment, IsOffByAnyCommonWord) {
  constexpr const char* kName = "DDPM_EVAL_TEST_OF_A_SWITCH";
  EXPECT_FALSE(is_switched_off(kName));
  for (const char* word : {"off", "OFF", "0", "False", "no"}) {
    const testing::Environment variable(kName, word);
    EXPECT_TRUE(is_switched_off(kName)) << word;
  }
  for (const char* word : {"", "on", "1", "00", "offline"}) {
    const testing::Environment variable(kName, word);
    EXPECT_FALSE(is_switched_off(kName)) << word;
  }
}

}  // namespace
}  // namespace ddpm_eval::core
