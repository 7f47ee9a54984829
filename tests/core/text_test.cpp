#include "base/core/text.h"

#include <gtest/gtest.h>

namespace ddpm_eval::core {
namespace {

TEST(Text, PrintableIsOneLineWithoutControlCharacters) {
  EXPECT_EQ(printable("a\nb\tc\r\x1b[31m\x7f"), "a\\nb\\tc\\x0d\\x1b[31m\\x7f");
  EXPECT_EQ(printable("\xc2\x9b[31m"), "\\x9b[31m");
  EXPECT_EQ(printable(std::string("a\0b", 3)), "a\\x00b");
}

TEST(Text, PrintableLeavesTheRest) {
  EXPECT_EQ(printable("Größe 5 Å, 画像 \\n"), "Größe 5 Å, 画像 \\n");
  EXPECT_EQ(printable("\xc2"), "\xc2");
}

}  // namespace
}  // namespace ddpm_eval::core
