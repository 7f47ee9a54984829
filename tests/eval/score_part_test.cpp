#include "eval/report/score_part.h"

#include "base/core/error.h"
#include "base/core/json.h"
#include "eval/report/record_parts.h"
#include "tests/support/errors.h"

#include <functional>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

// Records of scores on pages.
namespace ddpm_eval::eval {
namespace {

using core::Json;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using testing::message_of;
using ::testing::Not;
using ::testing::Pair;

Json good_record() {
  return Json::parse(R"({
    "metrics": {"frechet_inception_distance": 12.5, "inception_score_mean": 8, "inception_score_std": 0.25,
                "kernel_inception_distance_mean": 0.02, "kernel_inception_distance_std": 0.001,
                "kernel_inception_distance": 0.021, "precision": 0.75, "f_score": 0.5, "x": 1},
    "uncertainty": {
      "frechet_inception_distance": {"method": "delete-group jackknife", "level": 0.95, "standard_error": 0.3,
        "bias": 2, "at_count": {"estimand": "the expected score at this N", "low": 11.5, "high": 13.5},
        "at_infinity": {"estimand": "the score of infinitely many", "low": 9.5, "high": 11.25}},
      "inception_score_mean": {"method": "jackknife", "level": 0.95, "withheld": "too few images"},
      "kernel_inception_distance": {"standard_error": 0.0004, "estimand": "the distance of the distributions",
        "method": "variance of the U-statistic"}},
    "real": {"source": "cifar", "count": 50000}, "fake": {"source": "samples/", "count": 100},
    "yardsticks": [{"source": "cifar10:test", "count": 100, "metrics": {"frechet_inception_distance": 3}}],
    "features": {"name": "inception"}, "notes": ["a word"]})");
}

std::string page_of(const Json& record) { return score_part({record, "s.json", "a score record"}).markup(); }

TEST(ScorePart, HasNamesForHeadingsAndSaysWhatIsBesideAScore) {
  EXPECT_THAT(
      page_of(good_record()),
      AllOf(HasSubstr(">FID ↓, ± standard error</th>"), HasSubstr(">12.50 ± 0.30</td>"),
            HasSubstr(">IS ↑, ± over splits</th>"), HasSubstr(">8.00 ± 0.25</td>"),
            HasSubstr(">KID of subsets ↓, ± over subsets</th>"), HasSubstr(">0.0200 ± 0.0010</td>"),
            HasSubstr(">KID ↓, ± standard error</th>"), HasSubstr(">0.02100 ± 0.00040</td>"),
            HasSubstr(">× 1000</th>"), HasSubstr(">21.00 ± 0.40</td>"), HasSubstr(">precision ↑</th>"),
            HasSubstr(">F score ↑</th>"), HasSubstr(">x</th>"), HasSubstr("yardstick: cifar10:test"),
            HasSubstr("Against cifar, N = 50000. Features: inception."), HasSubstr("Note: a word")));
}

TEST(ScorePart, ShowsIntervalsWithWhatTheyAreOf) {
  const auto page = page_of(good_record());
  EXPECT_THAT(page, AllOf(HasSubstr("How far the scores of the samples may be off"),
                          HasSubstr(">95 %: 11.5 to 13.5</td>"), HasSubstr("the expected score at this N"),
                          HasSubstr(">95 %: 9.5 to 11.25</td>"), HasSubstr("the score of infinitely many"),
                          HasSubstr("delete-group jackknife"), HasSubstr("withheld: too few images"),
                          HasSubstr("the distance of the distributions")));
  auto without = good_record();
  without.erase("uncertainty");
  EXPECT_THAT(page_of(without),
              AllOf(HasSubstr(">FID ↓</th>"), HasSubstr(">12.5</td>"), Not(HasSubstr("How far the scores"))));
}

TEST(ScorePart, OfAnInceptionScoreHasNoReference) {
  auto record = good_record();
  record["metrics"] = {{"inception_score_mean", 8.0}};
  record.erase("real");
  record.erase("yardsticks");
  EXPECT_THAT(page_of(record), Not(HasSubstr("Against")));
}

Json repeated_record() {
  auto record = good_record();
  record.erase("uncertainty");
  record["repeats"] = {{"count", 3}, {"deviations", record["metrics"]}};
  record["repeats"]["deviations"]["inception_score_mean"] = 0.125;
  return record;
}

TEST(ScorePart, OfSeveralSamplesHasTheirNumberAndDeviation) {
  EXPECT_THAT(page_of(repeated_record()),
              AllOf(HasSubstr(">samples</th>"), HasSubstr(">3</td>"), HasSubstr(">1</td>"),
                    HasSubstr(">IS ↑, ± over 3 samples</th>"), HasSubstr(">8.00 ± 0.12</td>"),
                    Not(HasSubstr("over splits")), Not(HasSubstr("over subsets"))));
  EXPECT_THAT(page_of(good_record()), Not(HasSubstr(">samples</th>")));
}

TEST(ScorePart, RepeatsThatAreDamagedAreNamedByFileAndField) {
  const auto refused = [](const std::function<void(Json&)>& damage, const std::string& problem) {
    auto record = repeated_record();
    damage(record["repeats"]);
    EXPECT_EQ(message_of<core::DataError>([&] { page_of(record); }), "s.json: " + problem);
  };
  refused([](Json& r) { r = 3; }, "repeats must be an object");
  refused([](Json& r) { r["count"] = 1; }, "repeats.count must be at least 2");
  refused([](Json& r) { r.erase("deviations"); }, "not a score record: repeats.deviations is missing");
  refused([](Json& r) { r["deviations"].erase("precision"); },
          "not a score record: repeats.deviations.precision is missing");
  refused([](Json& r) { r["deviations"]["precision"] = -0.5; },
          "repeats.deviations.precision must not be negative");
}

TEST(ScorePart, WhatIsDamagedIsNamedByFileAndField) {
  const auto refused = [](const std::function<void(Json&)>& damage, const std::string& problem) {
    auto record = good_record();
    damage(record);
    EXPECT_EQ(message_of<core::DataError>([&] { page_of(record); }), "s.json: " + problem);
  };
  refused([](Json& r) { r["metrics"] = Json::object(); }, "metrics must hold a score at least");
  refused([](Json& r) { r.erase("metrics"); }, "not a score record: metrics is missing");
  refused([](Json& r) { r["metrics"] = 1; }, "metrics must be an object");
  refused([](Json& r) { r["metrics"]["precision"] = "0.5"; }, "metrics.precision must be a number");
  refused([](Json& r) { r["metrics"]["inception_score_std"] = nullptr; },
          "metrics.inception_score_std must be a number");
  refused([](Json& r) { r.erase("fake"); }, "not a score record: fake is missing");
  refused([](Json& r) { r["fake"].erase("source"); }, "not a score record: fake.source is missing");
  refused([](Json& r) { r["fake"]["count"] = -5; }, "fake.count must be a whole number of at least 1");
  refused([](Json& r) { r.erase("real"); }, "not a score record: real is missing");
  refused([](Json& r) { r["real"]["source"] = 3; }, "real.source must be a text");
  refused([](Json& r) { r["real"]["count"] = "many"; }, "real.count must be a whole number of at least 1");
  refused([](Json& r) { r["features"]["name"] = 3; }, "features.name must be a text");
  refused([](Json& r) { r["notes"] = 3; }, "notes must be a list");
  refused([](Json& r) { r["yardsticks"] = Json::array({3}); },
          "yardsticks[0]: not a score record: it is no JSON object");
  refused([](Json& r) { r["yardsticks"][0]["metrics"]["frechet_inception_distance"] = "3"; },
          "yardsticks[0]: metrics.frechet_inception_distance must be a number");
  refused([](Json& r) { r["uncertainty"] = 3; }, "uncertainty must be an object");
  refused([](Json& r) { r["uncertainty"]["frechet_inception_distance"]["at_count"]["low"] = "3"; },
          "uncertainty.frechet_inception_distance.at_count.low must be a number");
  refused([](Json& r) { r["floor"] = {{"precision", "low"}}; }, "floor.precision must be a number");
  refused([](Json& r) { r["notes"][0] = 3; }, "notes[0] must be a text");
  refused([](Json& r) { r["preset"] = 3; }, "preset must be a text");
  refused([](Json& r) { r["features"] = "inception"; }, "features must be an object");
}

TEST(ScorePart, WhatCannotBeIsNamedByFileAndField) {
  const auto refused = [](const char* metric, const std::function<void(Json&)>& damage,
                          const std::string& problem) {
    auto record = good_record();
    damage(record["uncertainty"][metric]);
    EXPECT_EQ(message_of<core::DataError>([&] { page_of(record); }),
              fmt::format("s.json: uncertainty.{}.{}", metric, problem));
  };
  constexpr const char* kFid = "frechet_inception_distance";
  for (const double level : {95.0, 1.0, 0.0, -0.5}) {
    refused(
        kFid, [&](Json& one) { one["level"] = level; }, "level must be above 0 and below 1");
  }
  refused(
      kFid, [](Json& one) { one["at_count"]["low"] = 14; },
      "at_count.low must not be above uncertainty.frechet_inception_distance.at_count.high");
  refused(
      kFid, [](Json& one) { one["at_infinity"] = 3; }, "at_infinity must be an object");
  refused(
      kFid, [](Json& one) { one["standard_error"] = -0.1; }, "standard_error must not be negative");
  refused(
      kFid, [](Json& one) { one["bias"] = "2"; }, "bias must be a number");
  refused(
      kFid, [](Json& one) { one["method"] = 2; }, "method must be a text");
  refused(
      "inception_score_mean", [](Json& one) { one["withheld"] = 3; }, "withheld must be a text");
  refused(
      "kernel_inception_distance", [](Json& one) { one["estimand"] = Json::array(); },
      "estimand must be a text");
  auto record = good_record();
  record["metrics"]["kernel_inception_distance_std"] = -0.001;
  EXPECT_EQ(message_of<core::DataError>([&] { page_of(record); }),
            "s.json: metrics.kernel_inception_distance_std must not be negative");
  record = good_record();
  record["uncertainty"][kFid].erase("level");
  EXPECT_EQ(message_of<core::DataError>([&] { page_of(record); }),
            "s.json: not a score record: uncertainty.frechet_inception_distance.level is missing");
}

TEST(ScorePart, AnIntervalThatIsWithheldIsToldBesideTheOther) {
  auto record = good_record();
  auto& one = record["uncertainty"]["frechet_inception_distance"];
  one.erase("at_infinity");
  one["withheld"] = "too much bias";
  one["level"] = 0.995;
  EXPECT_THAT(page_of(record), AllOf(HasSubstr(">99.5 %: 11.5 to 13.5</td>"), HasSubstr("too much bias")));
}

TEST(ContextFacts, OfOddTypesAreNamedByFileAndField) {
  const Json good = {
      {"created", "2026-11-26T02:00:00Z"},
      {"tool", {{"version", "1"}, {"commit", "abc"}, {"build_type", "release"}, {"compiler", "c"}}},
      {"runtime", {{"device", "cpu"}, {"threads", 2}}},
      {"features", nullptr},
      {"seed", 3}};
  const auto facts = [](const Json& record) { return context_facts({record, "s.json", "a record"}); };
  EXPECT_THAT(facts(good), AllOf(Contains(Pair("Program", "ddpm-eval 1 (abc), release, c")),
                                 Contains(Pair("Threads", "2")), Contains(Pair("Seed", "3")),
                                 Contains(Pair("Features", "")), Contains(Pair("Step", ""))));
  const auto refused = [&](const char* pointer, const Json& value, const std::string& problem) {
    auto record = good;
    record[Json::json_pointer(pointer)] = value;
    EXPECT_EQ(message_of<core::DataError>([&] { facts(record); }), "s.json: " + problem);
  };
  refused("/tool", "ddpm-eval", "tool must be an object");
  refused("/tool/commit", 3, "tool.commit must be a text");
  refused("/runtime/device", Json::array(), "runtime.device must be a text");
  refused("/runtime/threads", "two", "runtime.threads must be a number");
  refused("/runtime/threads", -2, "runtime.threads must not be negative");
  refused("/features", 3, "features must be an object");
  refused("/created", 2026, "created must be a text");
  refused("/weights", Json::object(), "weights must be a text");
  refused("/seconds", "1 s", "seconds must be a number");
}

}  // namespace
}  // namespace ddpm_eval::eval
