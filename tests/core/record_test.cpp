#include "base/core/record.h"

#include "base/core/base64.h"
#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/text.h"
#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"

#include <limits>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::core {
namespace {

using ::testing::HasSubstr;
using testing::message_of;

TEST(Text, GroupsDigits) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(-100), "-100");
  EXPECT_EQ(grouped(10'000), "10,000");
  EXPECT_EQ(grouped(-1'234'567), "-1,234,567");
}

TEST(Record, RoundTripsWithItsContext) {
  const testing::TempDir dir;
  auto record = new_record("score");
  record["value"] = 0.1 + 0.2;
  write_record(dir / "r.json", record);
  const auto back = read_record(dir / "r.json");
  EXPECT_EQ(back, record);
  EXPECT_EQ(back["value"].get<double>(), 0.1 + 0.2);
  EXPECT_EQ(back["schema"], 1);
  EXPECT_EQ(back["kind"], "score");
  EXPECT_EQ(back["tool"]["name"], "ddpm-eval");
}

TEST(Record, NonFiniteNumbersAreABug) {
  auto record = new_record("score");
  record["metrics"]["fid"] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(message_of<LogicError>([&] { record_text(record); }), HasSubstr("/metrics/fid is not finite"));
}

TEST(Record, BytesThatAreNoUtf8BecomeReplacementCharacters) {
  auto record = new_record("score");
  record["unreadable"] = {std::string("caf\xe9.png")};
  EXPECT_THAT(record_text(record), HasSubstr("caf\xef\xbf\xbd.png"));
  EXPECT_THAT(json_text(record), HasSubstr("caf\xef\xbf\xbd.png"));
}

TEST(Record, OtherJsonAndNewerSchemasAreRefused) {
  const testing::TempDir dir;
  write_file(dir / "a.json", "{");
  EXPECT_THAT(message_of<DataError>([&] { read_record(dir / "a.json"); }), HasSubstr("not a record"));
  write_file(dir / "b.json", "{\"schema\": 99}");
  EXPECT_THAT(message_of<DataError>([&] { read_record(dir / "b.json"); }), HasSubstr("newer ddpm-eval"));
}

TEST(Json, DepthIsLimited) {
  const auto nested = [](int depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(parse_json(nested(kMaxJsonDepth)).is_array());
  EXPECT_TRUE(parse_json(nested(kMaxJsonDepth + 1)).is_null());
  EXPECT_TRUE(parse_json(nested(3), 2).is_null());
  EXPECT_TRUE(parse_json(nested(1'000'000)).is_null());
  EXPECT_TRUE(parse_json("{\"a\": [1, ").is_null());
  EXPECT_EQ(parse_json("{\"b\": 1, \"a\": 2.5}").dump(), "{\"b\":1,\"a\":2.5}");
}

TEST(Json, NumbersAreLookedForInWhateverIsThere) {
  const auto json = parse_json("{\"i\": 1, \"d\": 0.5, \"s\": \"1\"}");
  EXPECT_TRUE(has_integer(json, "i") && has_number(json, "i") && has_number(json, "d"));
  EXPECT_FALSE(has_integer(json, "d") || has_number(json, "s") || has_number(json, "x"));
  EXPECT_FALSE(has_number(parse_json("[1]"), "i") || has_number(Json(), "i"));
}

TEST(Record, AMillionBracketsAreADataError) {
  const testing::TempDir dir;
  write_file(dir / "r.json",
             "{\"schema\": 1, \"a\": " + std::string(1'000'000, '[') + std::string(1'000'000, ']') + "}");
  EXPECT_THAT(message_of<DataError>([&] { read_record(dir / "r.json"); }), HasSubstr("not a record"));
}

TEST(Text, NearestSuggestsOnlyLikelySlips) {
  const std::vector<std::string> words = {"batch_size", "learning_rate"};
  EXPECT_EQ(nearest("batch-size", words), "batch_size");
  EXPECT_EQ(nearest("learnin_rate", words), "learning_rate");
  EXPECT_EQ(nearest("epochs", words), std::nullopt);
  EXPECT_EQ(join_or(std::vector<std::string>{"a", "b", "c"}), "a, b or c");
}

TEST(Base64, MatchesTheStandardsExamples) {
  for (const auto& [bytes, want] : std::vector<std::pair<std::string, std::string>>{
           {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"}}) {
    EXPECT_EQ(base64(bytes), want);  // RFC 4648, section 10
  }
}

}  // namespace
}  // namespace ddpm_eval::core
