#include "base/core/environment.h"

#include "base/core/error.h"
#include "tests/support/environment.h"
#include "tests/support/errors.h"

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
  for (const char* word : {"", "on", "1", "TRUE", "Yes"}) {
    const testing::Environment variable(kName, word);
    EXPECT_FALSE(is_switched_off(kName)) << word;
  }
  for (const char* word : {"00", "offline", " off"}) {
    const testing::Environment variable(kName, word);
    EXPECT_EQ(testing::message_of<UsageError>([&] { is_switched_off(kName); }),
              std::string(kName) + "=" + word +
                  " in the environment: choose off, 0, false, no, on, 1, true or yes");
  }
}

TEST(Environment, AVariableThatIsNotSetIsEmpty) {
  constexpr const char* kName = "DDPM_EVAL_TEST_OF_A_VALUE";
  EXPECT_EQ(environment_value(kName), "");
  const testing::Environment variable(kName, "a b");
  EXPECT_EQ(environment_value(kName), "a b");
}

}  // namespace
}  // namespace ddpm_eval::core
