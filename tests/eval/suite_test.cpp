#include "eval/compare/suite.h"

#include "base/core/error.h"
#include "eval/report/history.h"
#include "tests/support/errors.h"
#include "tests/support/files.h"
#include "tests/support/suites.h"
#include "tests/support/temp_dir.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using testing::message_of;
using ::testing::Pair;
using testing::put_file;
using testing::SuiteJson;
using testing::TempDir;

SuiteJson good_suite() {
  return testing::suite_json("abc",
                             {testing::timed("forward", {10, 11, 12}), testing::timed("spin", {5, 5}, "null"),
                              testing::quality("fid", 4.5, {{"relative", 0.01}}),
                              testing::hashes("samples", {{"AVX512", "12ab"}, {"AVX2", "34cd"}})});
}

TEST(Suite, IsReadAsItIs) {
  const TempDir dir;
  auto json = good_suite();
  json["session"] = "night 1";
  json["context"]["load"] = 0.5;
  json["series"][0]["null"] = "spin";
  json["series"][2]["tolerance"]["either_way"] = true;
  json["series"][2]["context"] = {{"seed", 1}, {"features", "small"}};
  put_file(dir / "s.json", json.dump(2));
  const auto suite = read_suite(dir / "s.json");
  EXPECT_EQ(suite.commit, "abc");
  EXPECT_EQ(suite.session, "night 1");
  EXPECT_EQ(suite.load, 0.5);
  EXPECT_THAT(suite.context, Contains(Pair("threads", "2")));
  EXPECT_THAT(suite.context, Contains(Pair("precision", "float32")));
  ASSERT_EQ(suite.series.size(), 4U);
  EXPECT_EQ(suite.series[0].kind, SeriesKind::kSpeed);
  EXPECT_FALSE(suite.series[0].higher_is_better);
  EXPECT_THAT(suite.series[0].repetitions, ElementsAre(10, 11, 12));
  EXPECT_EQ(suite.series[0].null_subject, "spin");
  EXPECT_EQ(suite.series[1].kind, SeriesKind::kNull);
  EXPECT_EQ(suite.series[2].value, 4.5);
  EXPECT_EQ(suite.series[2].tolerance, (Tolerance{0.01, true, true}));
  EXPECT_THAT(suite.series[2].context, ElementsAre(Pair("features", "small"), Pair("seed", "1")));
  EXPECT_THAT(suite.series[3].hashes, ElementsAre(Pair("AVX2", "34cd"), Pair("AVX512", "12ab")));
}

TEST(Suite, WhatIsNoneIsToldByFileSeriesAndKey) {
  const TempDir dir;
  const auto refused = [&](const std::string& text, const std::string& problem) {
    put_file(dir / "s.json", text);
    EXPECT_EQ(message_of<core::DataError>([&] { read_suite(dir / "s.json"); }),
              (dir / "s.json").string() + ": " + problem);
  };
  const auto changed = [&](const char* pointer, const SuiteJson& value) {
    auto other = good_suite();
    other[SuiteJson::json_pointer(pointer)] = value;
    return other.dump();
  };
  refused("", "not a suite record: it is no valid JSON, or nests deeper than 64");
  refused(good_suite().dump().substr(1), "not a suite record: it is no valid JSON, or nests deeper than 64");
  refused("[]", "not a suite record: it is no JSON object");
  refused("{}", "not a suite record: schema is missing");
  refused(changed("/schema", 2), "schema 2 is newer than this program, which reads 1");
  refused(changed("/kind", "score"), "kind must be suite, not 'score'");
  refused(changed("/time", "today"), "time must be as 2026-11-26T02:00:00Z");
  refused(changed("/commit", ""), "commit must be a text");
  refused(changed("/session", 1), "session must be a text");
  refused(changed("/context", 3), "context must be an object");
  refused(changed("/context", SuiteJson::object()), "not a suite record: context.cpu is missing");
  refused(changed("/context/threads", 0), "context.threads must be a whole number of at least 1");
  refused(changed("/context/load", "busy"), "context.load must be a number");
  refused(changed("/series", "none"), "series must be a list");
  refused(changed("/series", SuiteJson::array()), "series is empty");
  refused(changed("/series/1", 7), "series[1]: not a suite record: it is no JSON object");
  refused(changed("/series/1/name", "forward"), "series 'forward' is there twice");
  refused(changed("/series/0/kind", "pace"),
          "series 'forward': kind must be speed, memory, null, quality or hash, not 'pace'");
  refused(changed("/series/0/better", "more"),
          "series 'forward': better must be lower or higher, not 'more'");
  refused(changed("/series/0/unit", SuiteJson()), "series 'forward': unit must be a text");
  refused(changed("/series/0/repetitions", 10), "series 'forward': repetitions must be a list");
  refused(changed("/series/0/repetitions", SuiteJson::array()),
          "series 'forward': repetitions must be 1 to 1000 numbers, not 0");
  refused(changed("/series/0/repetitions", std::vector<double>(1001, 1)),
          "series 'forward': repetitions must be 1 to 1000 numbers, not 1001");
  for (const auto& value : {SuiteJson(0), SuiteJson(-1.5), SuiteJson("1"), SuiteJson()}) {
    refused(changed("/series/0/repetitions/1", value),
            "series 'forward': repetitions[1] must be a positive number");
  }
  refused(changed("/series/2/value", SuiteJson()), "series 'fid': value must be a number");
  refused(changed("/series/2/tolerance", 0.1), "series 'fid': tolerance must be an object");
  refused(changed("/series/2/tolerance/absolute", 1),
          "series 'fid': tolerance must have either absolute or relative");
  refused(changed("/series/2/tolerance/relative", -1), "series 'fid': tolerance must not be negative");
  refused(changed("/series/2/tolerance/either_way", 1), "series 'fid': either_way must be true or false");
  refused(changed("/series/3/hashes", "12ab"),
          "series 'samples': hashes must be texts by their instruction sets");
  refused(changed("/series/3/hashes", SuiteJson::object()),
          "series 'samples': hashes must be texts by their instruction sets");
  refused(changed("/series/3/hashes/AVX2", 3), "series 'samples': hashes.AVX2 must be a text");
  refused(changed("/series/2/context", "seed 1"),
          "series 'fid': context must be texts and numbers by their keys");
  refused(changed("/series/2/context/seed", SuiteJson::array({1})),
          "series 'fid': context: seed must be a text, a number or a truth value");
}

TEST(Suite, TextsAreAsShortAsATableNeedsThem) {
  const TempDir dir;
  const std::string longest(kMaxNameBytes, 'n');
  const auto put = [&](const char* pointer, const SuiteJson& value) {
    auto suite = good_suite();
    suite[SuiteJson::json_pointer(pointer)] = value;
    put_file(dir / "s.json", suite.dump());
  };
  const auto refused = [&](const char* pointer, const SuiteJson& value, const std::string& problem) {
    put(pointer, value);
    EXPECT_EQ(message_of<core::DataError>([&] { read_suite(dir / "s.json"); }),
              (dir / "s.json").string() + ": " + problem);
  };
  put("/series/1/name", longest);
  EXPECT_EQ(read_suite(dir / "s.json").series[1].name, longest);
  refused("/series/1/name", std::string(2'000'000, 'n'),
          "series[1]: name must be at most 200 bytes, not 2000000");
  refused("/series/0/unit", std::string(41, 'u'), "series 'forward': unit must be at most 40 bytes, not 41");
  refused("/commit", longest + "n", "commit must be at most 200 bytes, not 201");
  refused("/context/cpu", longest + "n", "context.cpu must be at most 200 bytes, not 201");
  refused("/series/3/hashes/AVX2", longest + "n",
          "series 'samples': hashes.AVX2 must be at most 200 bytes, not 201");
  refused("/series/3/hashes", {{longest + "n", "12ab"}},
          "series 'samples': keys of hashes must be 1 to 200 bytes");
  auto many = SuiteJson::object();
  for (int i = 0; i < 51; ++i) {
    many["k" + std::to_string(i)] = i;
  }
  refused("/series/2/context", many, "series 'fid': context must have at most 50 keys, not 51");
}

TEST(Suite, OnOneLineIsALineOfAHistory) {
  const TempDir dir;
  auto json = good_suite();
  json["series"][0]["repetitions"] = {10, 9, 8, 7, 6, 5, 4, 3, 2, 1};
  put_file(dir / "h.jsonl", json.dump() + "\n");
  const auto entries = read_history(dir / "h.jsonl");
  ASSERT_EQ(entries.size(), 1U);
  EXPECT_EQ(entries[0].context, "Xeon, 2 threads, release, AVX512, LibTorch 1.13.1");
  ASSERT_EQ(entries[0].values.size(), 3U) << "hashes are no numbers";
  const auto& forward = entries[0].values[0];
  EXPECT_EQ(forward.median, 5.5);
  EXPECT_EQ(forward.low, 2);
  EXPECT_EQ(forward.high, 9);
  EXPECT_EQ(forward.count, 10);
  const auto& spin = entries[0].values[1];
  EXPECT_EQ(spin.low, 5) << "too few for an interval: the least and the most";
  EXPECT_EQ(entries[0].values[2].median, 4.5);
  EXPECT_EQ(entries[0].values[2].count, 1);
  json["series"][1]["repetitions"] = {0};
  put_file(dir / "h.jsonl", json.dump() + "\n");
  EXPECT_EQ(message_of<core::DataError>([&] { read_history(dir / "h.jsonl"); }),
            (dir / "h.jsonl").string() + ":1: series 'spin': repetitions[0] must be a positive number");
}

}  // namespace
}  // namespace ddpm_eval::eval
