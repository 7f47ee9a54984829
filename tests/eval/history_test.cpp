#include "eval/report/history.h"

#include "base/core/error.h"
#include "eval/report/report.h"
#include "tests/support/errors.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"

#include <filesystem>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::message_of;
using ::testing::Not;
using testing::put_file;
using testing::TempDir;
using Json = nlohmann::ordered_json;

Json series(const std::string& name, double median, const char* better = "lower") {
  return {
      {"name", name},         {"unit", "ms"}, {"better", better}, {"median", median}, {"low", median - 0.5},
      {"high", median + 0.5}, {"n", 9}};
}

Json line(const std::string& time, const Json& list, const char* cpu = "Xeon") {
  return {{"schema", 1},
          {"time", time},
          {"commit", "abc"},
          {"context", {{"cpu", cpu}, {"threads", 2}, {"build", "Release"}}},
          {"series", list}};
}

TEST(History, LinesOfAllFilesComeInTheOrderOfTime) {
  const TempDir dir;
  put_file(dir / "b.jsonl", line("2026-11-25T02:00:00Z", Json::array({series("forward", 10)})).dump() + "\n");
  put_file(dir / "a.jsonl", line("2026-11-26T02:00:00Z", Json::array({series("forward", 11)})).dump() + "\n" +
                                line("1970-01-02T00:00:01Z", Json::array()).dump() + "\n");
  put_file(dir / "notes.txt", "not of the history\n");
  const auto entries = read_history(dir.path());
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(entries[0].time, 86401);
  EXPECT_TRUE(entries[0].values.empty());
  EXPECT_EQ(entries[1].values[0].median, 10);
  EXPECT_EQ(entries[2].time - entries[1].time, 86400);
  EXPECT_EQ(entries[2].context, "Xeon, 2 threads, Release");
  EXPECT_EQ(read_history(dir / "b.jsonl").size(), 1U);
}

TEST(History, WhatIsNoSuchLineIsToldByFileAndLine) {
  const TempDir dir;
  const auto good = line("2026-11-26T02:00:00Z", Json::array({series("forward", 10)}));
  const auto refused = [&](const std::string& text, const std::string& problem) {
    put_file(dir / "h.jsonl", good.dump() + "\n" + text + "\n");
    EXPECT_EQ(message_of<core::DataError>([&] { read_history(dir / "h.jsonl"); }),
              (dir / "h.jsonl").string() + ":2: " + problem);
  };
  const auto changed = [&](const char* pointer, const Json& value) {
    auto other = good;
    other[Json::json_pointer(pointer)] = value;
    return other.dump();
  };
  refused("garbage", "not a line of a history: it is no valid JSON, or nests deeper than 64");
  refused("", "not a line of a history: it is no valid JSON, or nests deeper than 64");
  refused("{\"schema\": 1}", "not a line of a history: time is missing");
  refused(changed("/schema", 2), "schema 2 is newer than this program, which reads 1");
  refused(changed("/schema", "1"), "schema must be a whole number of at least 1");
  for (const char* time :
       {"2026-11-26", "2026-11-26T02:00:00", "2026-02-30T02:00:00Z", "2026-11-26T24:00:00Z",
        "2026-11-26T02:00:00Zx", "2026-11-26 02:00:00Z", " 2026-11-26T2:00:00Z"}) {
    refused(changed("/time", time), "time must be as 2026-11-26T02:00:00Z");
  }
  refused(changed("/commit", 7), "commit must be a text");
  refused(changed("/context", "here"), "context must be an object");
  refused(changed("/context/threads", 0), "context.threads must be a whole number of at least 1");
  refused(changed("/series", 3), "series must be a list");
  refused(changed("/series/0", 3), "not a line of a history: it is no JSON object");
  refused(changed("/series/0/better", "more\n"), "better must be lower or higher, not 'more\\n'");
  refused(changed("/series/0/median", "x"), "median must be a number");
  refused(changed("/series/0/low", 11), "low <= median <= high does not hold for 'forward'");
  refused(changed("/series/0/n", 0.5), "n must be a whole number of at least 1");
  refused(changed("/series/1", series("forward", 10)), "'forward' is there twice");
  refused(changed("/series/0/unit", "s"), "'forward' has another unit or direction than in an earlier line");
  refused(changed("/series/0/better", "higher"),
          "'forward' has another unit or direction than in an earlier line");
  put_file(dir / "h.jsonl", "");
  EXPECT_EQ(message_of<core::DataError>([&] { read_history(dir / "h.jsonl"); }),
            (dir / "h.jsonl").string() + ": holds no lines of a history");
}

TEST(History, ThePageComparesWithinAContextAlone) {
  const TempDir dir;
  const std::string script = "<script>alert('x')</script>";
  std::string text;
  for (int day = 1; day <= 3; ++day) {
    text += line(fmt::format("2026-11-0{}T02:00:00Z", day),
                 {series("worse" + script, 10.0 * day), series("better", 10.0 * day, "higher"),
                  series("same", 7)})
                .dump() +
            "\n";
  }
  put_file(dir / "h.jsonl", text);
  const auto page = history_page(dir / "h.jsonl", dir / "h.html");
  EXPECT_FALSE(page.lacks_plots);
  EXPECT_THAT(
      page.html,
      AllOf(HasSubstr("+50.0 % worse"), HasSubstr("+50.0 % better"), HasSubstr("+0.0 % within noise"),
            HasSubstr("3 measurements of 3 series, from 2026-11-01T02:00:00Z to 2026-11-03T02:00:00Z"),
            Not(HasSubstr("<script")), Not(HasSubstr("different contexts"))));
  put_file(dir / "one.jsonl", text.substr(0, text.find('\n') + 1));
  EXPECT_THAT(history_page(dir / "one.jsonl", dir / "h.html").html,
              HasSubstr("1 measurement of 3 series, of 2026-11-01T02:00:00Z; commit "));
  EXPECT_EQ(page.html, history_page(dir / "h.jsonl", dir / "h.html").html);
  put_file(
      dir / "h.jsonl",
      text + line("2026-11-04T02:00:00Z", Json::array({series("worse" + script, 5)}), "Epyc").dump() + "\n");
  EXPECT_THAT(
      history_page(dir / "h.jsonl", dir / "h.html").html,
      AllOf(HasSubstr("first of its context"), HasSubstr("different contexts"), HasSubstr("Epyc, 2 threads"),
            HasSubstr(">2026-11-04T02:00:00Z</td>"), HasSubstr(">2026-11-03T02:00:00Z, not since</td>")));
}

TEST(History, WhateverNumbersDependOnIsOfTheContext) {
  const TempDir dir;
  const auto context = [&](const Json& more) {
    auto one = line("2026-11-01T02:00:00Z", Json::array({series("forward", 10)}));
    for (const auto& [key, value] : more.items()) {
      one["context"][key] = value;
    }
    put_file(dir / "h.jsonl", one.dump() + "\n");
    return read_history(dir / "h.jsonl")[0].context;
  };
  EXPECT_EQ(context({{"device", "cpu"}, {"precision", "float32"}}), context(Json::object()))
      << "the usual ones";
  EXPECT_EQ(
      context({{"instruction_set", "AVX2"}, {"libtorch", "2.11"}, {"device", "cuda"}, {"precision", "bf16"}}),
      "Xeon, 2 threads, Release, AVX2, LibTorch 2.11, cuda, bf16");
}

TEST(History, ManySeriesArePartsByWhatTheyAreOf) {
  const TempDir dir;
  const auto night = [](int day, double factor) {
    auto list = Json::array({series("alone", 7)});
    for (int i = 0; i < 120; ++i) {
      list.push_back(
          series(fmt::format("{}: work/{}", i % 2 == 0 ? "core" : "ddpm", i), i == 5 ? 10 * factor : 10));
    }
    return line(fmt::format("2026-11-0{}T02:00:00Z", day), list).dump() + "\n";
  };
  const auto count = [](const std::string& text, const std::string& part) {
    size_t found = 0;
    for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
      ++found;
    }
    return found;
  };
  put_file(dir / "h.jsonl", night(1, 1) + night(2, 1.5));
  const auto html = history_page(dir / "h.jsonl", dir / "h.html").html;
  for (const char* title : {"Changes", "core", "ddpm", "Others", "Measurements"}) {
    EXPECT_EQ(count(html, fmt::format("\">{}</a>", title)), 1U) << "a table of contents";
  }
  EXPECT_EQ(count(html, "<svg"), 121U) << "each series is plotted";
  EXPECT_EQ(count(html, "+50.0 % worse"), 2U) << "among the changes, and where it stands";
  EXPECT_LT(html.find("+50.0 % worse"), html.find("core: each series where it stands"));
  put_file(dir / "h.jsonl", night(1, 1) + night(2, 1));
  EXPECT_EQ(count(history_page(dir / "h.jsonl", dir / "h.html").html,
                  "No series has left its noise since the measurement before"),
            1U);
}

TEST(History, AChangeIsAShareOfTheSizeOfTheNumberBefore) {
  const TempDir dir;
  std::string text;
  for (const double median : {-10.0, -5.0}) {
    text +=
        line("2026-11-01T02:00:00Z", Json::array({series("log-likelihood", median, "higher")})).dump() + "\n";
  }
  put_file(dir / "h.jsonl", text);
  EXPECT_THAT(history_page(dir / "h.jsonl", dir / "h.html").html,
              AllOf(HasSubstr("+50.0 % better"), Not(HasSubstr("not since"))));
}

}  // namespace
}  // namespace ddpm_eval::eval
