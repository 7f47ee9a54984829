#include "base/core/error.h"
#include "base/core/json.h"
#include "eval/report/record_parts.h"
#include "tests/support/errors.h"

#include <functional>

#include <gmock/gmock.h>

// Records of scores on pages.
namespace ddpm_eval::eval {
namespace {

using core::Json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::message_of;
using ::testing::Not;

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

std::string page_of(const Json& record) { return score_part(record, "s.json").markup(); }

TEST(ScorePart, HasNamesForHeadingsAndSaysWhatIsBesideAScore) {
  EXPECT_THAT(page_of(good_record()),
              AllOf(HasSubstr(">FID ↓, ± standard error</th>"), HasSubstr(">12.50 ± 0.30</td>"),
                    HasSubstr(">IS ↑, ± over splits</th>"), HasSubstr(">8.00 ± 0.25</td>"),
                    HasSubstr(">KID of subsets ↓, ± over subsets</th>"), HasSubstr(">0.0200 ± 0.0010</td>"),
                    HasSubstr(">KID ↓, ± standard error</th>"), HasSubstr(">0.02100 ± 0.00040</td>"),
                    HasSubstr(">precision ↑</th>"), HasSubstr(">F score ↑</th>"), HasSubstr(">x</th>"),
                    HasSubstr("yardstick: cifar10:test"),
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
}

}  // namespace
}  // namespace ddpm_eval::eval
