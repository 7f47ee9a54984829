#include "base/data/pickle.h"

#include "tests/support/errors.h"

#include <array>

#include <gmock/gmock.h>

namespace ddpm_eval::data {
namespace {

using namespace std::string_view_literals;
using core::DataError;
using ::testing::HasSubstr;
using testing::message_of;
using Kind = PickleValue::Kind;

constexpr std::array<std::string_view, 2> kGlobals = {"collections OrderedDict", "shop make"};

PickleOptions options() { return {.origin = "f.pkl", .globals = kGlobals}; }

std::string error_of(std::string_view bytes) {
  return message_of<DataError>([&] { Pickle pickle(bytes, options()); });
}

TEST(Pickle, ReadsScalars) {
  // pickle.dumps((None, True, -2, 5, 300, 2**40, 2**80, 1.5, "é", b"ab"), 3), memo left out
  constexpr auto kText =
      "\x80\x03("
      "N\x88J\xfe\xff\xff\xffK\x05M\x2c\x01\x8a\x06\x00\x00\x00\x00\x00\x01\x8a\x0b\x00\x00\x00\x00\x00"
      "\x00\x00\x00\x00\x00\x01G\x3f\xf8\x00\x00\x00\x00\x00\x00X\x02\x00\x00\x00\xc3\xa9"
      "C\x02"
      "abt."sv;
  const Pickle pickle(kText, options());
  EXPECT_EQ(pickle.size(), kText.size());
  const auto& items = pickle.root()->items;
  ASSERT_EQ(items.size(), 10U);
  EXPECT_EQ(items[0]->kind, Kind::kNone);
  EXPECT_EQ(items[1]->integer, 1);
  EXPECT_EQ(items[2]->integer, -2);
  EXPECT_EQ(items[3]->integer, 5);
  EXPECT_EQ(items[4]->integer, 300);
  EXPECT_EQ(items[5]->integer, int64_t{1} << 40);
  EXPECT_EQ(items[6]->text.size(), 11U);
  EXPECT_EQ(items[7]->real, 1.5);
  EXPECT_EQ(items[8]->text, "\xc3\xa9");
  EXPECT_EQ(items[9]->kind, Kind::kBytes);
  EXPECT_EQ(items[9]->text, "ab");
}

TEST(Pickle, NegativeLongsExtendTheirSign) {
  const Pickle pickle("\x80\x02\x8a\x02\x00\x80."sv, options());
  EXPECT_EQ(pickle.root()->integer, -32768);
}

TEST(Pickle, RecordsCallsAndKeepsOrderedDictsInOrder) {
  constexpr auto kText =
      "\x80\x02"
      "ccollections\nOrderedDict\n)R(X\x01\x00\x00\x00zK\x01X\x01\x00\x00\x00"
      "acshop\nmake\nK\x07\x85Ru}b."sv;
  const Pickle pickle(kText, options());
  EXPECT_EQ(pickle.root()->kind, Kind::kDict);
  const auto& items = pickle.root()->items;
  ASSERT_EQ(items.size(), 4U);
  EXPECT_EQ(items[0]->text, "z");
  EXPECT_EQ(items[1]->integer, 1);
  EXPECT_EQ(items[2]->text, "a");
  EXPECT_EQ(items[3]->kind, Kind::kCall);
  EXPECT_EQ(items[3]->items[0]->text, "shop make");
  EXPECT_EQ(items[3]->items[1]->items[0]->integer, 7);
}

TEST(Pickle, RecordsTheStateOfACall) {
  const Pickle pickle(
      "\x80\x02"
      "cshop\nmake\n)RK\x05"
      "bK\x06"
      "b."sv,
      options());
  const auto& items = pickle.root()->items;
  ASSERT_EQ(items.size(), 4U);
  EXPECT_EQ(items[2]->integer, 5);
  EXPECT_EQ(items[3]->integer, 6);
}

TEST(Pickle, ReadsProtocol4) {
  // Frame, short text, memo by position, global from the stack.
  constexpr auto kText =
      "\x80\x04\x95\x15\x00\x00\x00\x00\x00\x00\x00\x8c\x04shop\x94\x8c\x04make\x94\x93\x94h\x00\x85R."sv;
  const Pickle pickle(kText, options());
  EXPECT_EQ(pickle.root()->items[0]->text, "shop make");
  EXPECT_EQ(pickle.root()->items[1]->items[0]->text, "shop");
}

TEST(Pickle, RefusesEveryOtherGlobal) {
  EXPECT_THAT(error_of("\x80\x02"
                       "cos\nsystem\n."sv),
              HasSubstr("f.pkl: refuses to execute global 'os.system'; only state dicts"));
  EXPECT_THAT(error_of("\x80\x04\x8c\x08"
                       "builtins\x8c\x04"
                       "eval\x93."sv),
              HasSubstr("refuses to execute global 'builtins.eval'"));
  EXPECT_THAT(error_of("\x80\x04\x8c\x01\n\x8c\x01\x1b\x93."sv), HasSubstr("global '\\n.\\x1b'"));
}

TEST(Pickle, DamageIsADataErrorThatSaysWhere) {
  EXPECT_THAT(error_of(""sv),
              HasSubstr("f.pkl: damaged pickle at byte 0: 1 bytes are needed where 0 are left"));
  EXPECT_THAT(error_of("\x80\x02X\xff\xff\xff\xff"
                       "a."sv),
              HasSubstr("4294967295 bytes are needed where 2 are left"));
  EXPECT_THAT(error_of("\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xff."sv), HasSubstr("bytes are needed"));
  EXPECT_THAT(error_of("\x80\x05N."sv), HasSubstr("protocol 5"));
  EXPECT_THAT(error_of("\x80\x02."sv), HasSubstr("ends with 0 values"));
  EXPECT_THAT(error_of("\x80\x02(."sv), HasSubstr("ends with 1 values"));
  EXPECT_THAT(error_of("\x80\x02\x85."sv), HasSubstr("run dry"));
  EXPECT_THAT(error_of("\x80\x02(\x85."sv), HasSubstr("run dry"));
  EXPECT_THAT(error_of("\x80\x02Nt."sv), HasSubstr("a mark is missing"));
  EXPECT_THAT(error_of("\x80\x02h\x05."sv), HasSubstr("memo 5 is used before it is set"));
  EXPECT_THAT(error_of("\x80\x02Na."sv), HasSubstr("run dry"));
  EXPECT_THAT(error_of("\x80\x02NNa."sv), HasSubstr("a list is needed"));
  EXPECT_THAT(error_of("\x80\x02}(Nu."sv), HasSubstr("a key without a value"));
  EXPECT_THAT(error_of("\x80\x02N)R."sv), HasSubstr("not a global"));
  EXPECT_THAT(error_of("\x80\x02"
                       "cshop\nmake"sv),
              HasSubstr("a name without an end"));
  EXPECT_THAT(error_of("\x80\x02i."sv), HasSubstr("opcode 0x69 is not used by state dicts"));
}

TEST(Pickle, BoundsMemory) {
  auto small = options();
  small.max_values = 1000;
  const auto run = [&](const std::string& text) {
    return message_of<DataError>([&] { Pickle pickle(text, small); });
  };
  EXPECT_THAT(run("\x80\x02" + std::string(5000, '(')), HasSubstr("more than 1000 values"));
  EXPECT_THAT(run("\x80\x02" + std::string(5000, ']')), HasSubstr("more than 1000 values"));
  EXPECT_THAT(run("\x80\x02N" + std::string(5000, '\x94')), HasSubstr("more than 1000 values"));
}

TEST(Pickle, SurvivesCyclesAndDeepNesting) {
  const Pickle cycle(
      "\x80\x02]q\x00h\x00"
      "a."sv,
      options());
  EXPECT_EQ(cycle.root()->items[0], cycle.root());
  std::string deep = "\x80\x02N" + std::string(200'000, '\x85') + ".";
  const Pickle nested(deep, options());
  EXPECT_EQ(nested.root()->kind, Kind::kTuple);
}

}  // namespace
}  // namespace ddpm_eval::data
