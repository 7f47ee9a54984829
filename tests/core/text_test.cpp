#include "base/core/text.h"

#include <gtest/gtest.h>

namespace ddpm_eval::core {
namespace {

TEST(Text, PrintableIsOneLineWithoutControlCharacters) {
  EXPECT_EQ(printable("a\nb\tc\r\x1b[31m\x7f"), "a\\nb\\tc\\x0d\\x1b[31m\\x7f");
  EXPECT_EQ(printable("\xc2\x9b[31m"), "\\x9b[31m");
  EXPECT_EQ(printable(std::string("a\0b", 3)), "a\\x00b");
}

TEST(Text, BytesThatAreNoUtf8ArePrintedAsSuch) {
  EXPECT_EQ(printable("\xc2"), "\\xc2");
  EXPECT_EQ(printable("caf\xe9.png"), "caf\\xe9.png");
  EXPECT_EQ(printable("\xe2\x82z\xff\x9b"), "\\xe2\\x82z\\xff\\x9b");
}

TEST(Text, AnExcerptEndsWithAWholeCharacter) {
  EXPECT_EQ(excerpt("short\n"), "short\\n");
  EXPECT_EQ(excerpt("abcdef", 3), "abc...");
  EXPECT_EQ(excerpt("aöb", 2), "a...");
  EXPECT_EQ(excerpt(std::string(81, 'x')), std::string(80, 'x') + "...");
}

TEST(Text, PrintableLeavesTheRest) { EXPECT_EQ(printable("Größe 5 Å, 画像 \\n"), "Größe 5 Å, 画像 \\n"); }

TEST(Text, AWholeNumberIsAllOfTheText) {
  EXPECT_EQ(whole_number("0"), 0);
  EXPECT_EQ(whole_number("-17"), -17);
  EXPECT_EQ(whole_number("9223372036854775807"), INT64_MAX);
  for (const char* text : {"", " 1", "1 ", "+1", "1.0", "1x", "x", "9223372036854775808"}) {
    EXPECT_FALSE(whole_number(text)) << text;
  }
}

}  // namespace
}  // namespace ddpm_eval::core
