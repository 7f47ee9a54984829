#include "eval/compare/comparison.h"

#include "base/core/error.h"
#include "eval/compare/comparison_text.h"
#include "tests/support/errors.h"
#include "tests/support/files.h"
#include "tests/support/suites.h"
#include "tests/support/temp_dir.h"

#include <algorithm>
#include <cmath>
#include <string>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using testing::hashes;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::message_of;
using testing::quality;
using testing::suite_json;
using testing::SuiteJson;
using testing::ten_times;
using testing::timed;

class Comparing : public ::testing::Test {
 protected:
  SuiteComparison compare(const SuiteJson& base, const SuiteJson& now,
                          const ComparisonOptions& options = {}) const {
    testing::put_file(dir_ / "base.json", base.dump());
    testing::put_file(dir_ / "new.json", now.dump());
    return compare_suites(read_suite(dir_ / "base.json"), read_suite(dir_ / "new.json"), options);
  }

  /// Of one series and a quiet null subject.
  SeriesComparison one(const SuiteJson& base, const SuiteJson& now,
                       const ComparisonOptions& options = {}) const {
    const auto null = timed("spin", ten_times(), "null");
    return compare(suite_json("a", {base, null}), suite_json("b", {now, null}), options).series[0];
  }

  Verdict verdict(const SuiteJson& base, const SuiteJson& now, const ComparisonOptions& options = {}) const {
    return one(base, now, options).verdict;
  }

  testing::TempDir dir_;
};

TEST_F(Comparing, ASlowDownIsARatioWithItsInterval) {
  const auto found = one(timed("forward", ten_times()), timed("forward", ten_times(1.1)));
  EXPECT_EQ(found.verdict, Verdict::kWorse);
  EXPECT_FALSE(found.paired);
  EXPECT_NEAR(std::exp(found.worsening.value), 1.1, 1e-12);
  EXPECT_LT(found.worsening.low, std::log(1.1));
  EXPECT_GT(found.worsening.low, std::log(1.05));
  EXPECT_DOUBLE_EQ(found.p_worse, core::smallest_rank_sum_p(10, 10));
  EXPECT_EQ(found.p_worse_holm, found.p_worse) << "one series is tested; the null subject is not";
}

TEST_F(Comparing, WhatIsBetterDependsOnTheDirection) {
  const auto rates = [](double factor) { return timed("rate", ten_times(factor), "speed", "higher"); };
  EXPECT_EQ(verdict(rates(1), rates(1 / 1.1)), Verdict::kWorse);
  EXPECT_EQ(verdict(rates(1), rates(1.1)), Verdict::kBetter);
  EXPECT_EQ(verdict(timed("t", ten_times()), timed("t", ten_times(0.9))), Verdict::kBetter);
  EXPECT_EQ(verdict(rates(1), rates(1)), Verdict::kSame);
}

TEST_F(Comparing, SmallChangesDoNotCount) {
  const auto base = timed("t", ten_times());
  EXPECT_EQ(verdict(base, timed("t", ten_times(1.045))), Verdict::kSmall);
  EXPECT_EQ(verdict(base, timed("t", ten_times(1.045)), {.threshold = 0.04}), Verdict::kWorse);
  EXPECT_EQ(verdict(base, timed("t", ten_times(0.96))), Verdict::kSmall);
  EXPECT_EQ(verdict(base, timed("t", ten_times(1.1)), {.level = 1e-6}), Verdict::kTooFew);
}

TEST_F(Comparing, ChangesOfSpeedWithinTheNullSubjectsAreNoise) {
  const auto pair = [&](const char* kind, double null_factor) {
    const auto all = compare(
        suite_json("a", {timed("t", ten_times(), kind), timed("spin", ten_times(), "null")}),
        suite_json("b", {timed("t", ten_times(1.1), kind), timed("spin", ten_times(null_factor), "null")}));
    EXPECT_EQ(all.series[1].verdict, Verdict::kNull);
    EXPECT_GE(*all.noise, std::abs(std::log(null_factor)));
    return all;
  };
  EXPECT_EQ(pair("speed", 1.12).series[0].verdict, Verdict::kWithinNoise);
  EXPECT_EQ(pair("speed", 1 / 1.12).series[0].verdict, Verdict::kWithinNoise) << "in either direction";
  EXPECT_THAT(pair("speed", 1.12).remarks,
              ElementsAre(HasSubstr("The null subject spin shows changes of up to 12.2 %: speed counts ")));
  EXPECT_EQ(pair("speed", 1.01).series[0].verdict, Verdict::kWorse);
  EXPECT_THAT(pair("speed", 1.01).remarks, IsEmpty());
  EXPECT_EQ(pair("memory", 1.12).series[0].verdict, Verdict::kWorse) << "it says nothing of sizes";
}

TEST_F(Comparing, InOneSessionALoudNullSubjectLeavesOpenWhatIsShownAlone) {
  const auto of = [&](const std::vector<double>& now) {
    auto before = suite_json("a", {timed("t", ten_times()), timed("spin", ten_times(), "null")});
    auto after = suite_json("b", {timed("t", now), timed("spin", ten_times(1.3), "null")});
    before["session"] = after["session"] = "tonight";
    return compare(before, after);
  };
  const auto shown = of(ten_times(1.2));
  EXPECT_EQ(shown.series[0].verdict, Verdict::kWithinNoise);
  EXPECT_THAT(what_stays_open(shown), HasSubstr("1 slower by no more than the null subject's noise"));
  const auto scattered = of({9.9, 11, 12, 9.95, 11.5, 12.2, 10.1, 11.1, 10.9, 9.9});  // by 10 %, +1 to +16
  EXPECT_GT(scattered.series[0].worsening.value, std::log(1.05));
  EXPECT_GT(scattered.series[0].worsening.low, 0) << "for one series alone that would be something";
  EXPECT_EQ(scattered.series[0].verdict, Verdict::kSame);
  EXPECT_EQ(what_stays_open(scattered), "");
}

TEST_F(Comparing, ASeriesGoesByTheNullSubjectOfItsKind) {
  auto forward = timed("forward", ten_times());
  forward["null"] = "spin";
  const auto other = timed("other", ten_times());
  const auto spin = timed("spin", ten_times(), "null");
  const auto start = [](double factor) { return timed("start", ten_times(factor), "null"); };
  const auto of = [&](const SuiteJson& series, double spin_factor, double start_factor) {
    auto after = series;
    after["repetitions"] = ten_times(1.1);
    return compare(
        suite_json("a", {series, spin, start(1)}),
        suite_json("b", {after, timed("spin", ten_times(spin_factor), "null"), start(start_factor)}));
  };
  EXPECT_EQ(of(forward, 1, 1.3).series[0].verdict, Verdict::kWorse) << "start-up says nothing of it";
  EXPECT_EQ(of(forward, 1.3, 1).series[0].verdict, Verdict::kWithinNoise);
  EXPECT_EQ(of(other, 1, 1.3).series[0].verdict, Verdict::kWithinNoise) << "it names none: the loudest";
  forward["null"] = "gone";
  EXPECT_EQ(of(forward, 1, 1.3).series[0].verdict, Verdict::kWithinNoise) << "of no such subject";
  const auto all = of(other, 1, 1.3);
  EXPECT_THAT(all.remarks,
              ElementsAre("The null subject start shows changes of up to 30.3 %: speed that goes "
                          "by it counts as changed only beyond that."));
  EXPECT_THAT(comparison_table(all), HasSubstr("\nNoise, by the null subjects: spin 0.2 %, start 30.3 %.\n"));
  EXPECT_NEAR(comparison_record(all)["noise_by_subject"]["start"].get<double>(), 0.303, 0.001);
}

TEST_F(Comparing, WithoutANullSubjectThisIsSaid) {
  const auto all = compare(suite_json("a", {timed("t", ten_times()), timed("spin", ten_times(), "null")}),
                           suite_json("b", SuiteJson::array({timed("t", ten_times())})));
  EXPECT_FALSE(all.noise);
  EXPECT_EQ(all.series[1].verdict, Verdict::kOnlyInBase);
  EXPECT_THAT(all.remarks, ElementsAre(HasSubstr("no null subject"),
                                       "1 series of the baseline is no longer "
                                       "measured."));
}

TEST_F(Comparing, DriftThatPairsShareHidesNothing) {
  std::vector<double> base;
  std::vector<double> now;
  for (int i = 0; i < 10; ++i) {  // the machine becomes half as fast
    base.push_back(10 * std::exp2(i / 9.0) * (i % 2 == 0 ? 1.005 : 0.995));
    now.push_back(10 * std::exp2(i / 9.0) * 1.1);
  }
  const auto null = timed("spin", ten_times(), "null");
  auto before = suite_json("a", {timed("t", base), null});
  auto after = suite_json("b", {timed("t", now), null});
  EXPECT_EQ(compare(before, after).series[0].verdict, Verdict::kSame);
  before["session"] = "n1";
  after["session"] = "n2";
  EXPECT_EQ(compare(before, after).series[0].verdict, Verdict::kSame);
  after["session"] = "n1";
  const auto found = compare(before, after).series[0];
  EXPECT_TRUE(found.paired);
  EXPECT_EQ(found.verdict, Verdict::kWorse);
  EXPECT_EQ(found.blocks, 5) << "so many that 1 / 6^5 can reach 1 %, and by far";
  EXPECT_NEAR(found.p_worse, 2.0 / 7776, 1e-12) << "the better of two tests counts twice";
  EXPECT_NEAR(found.worsening.value, std::log(1.1), 0.005);
  after["series"][0]["repetitions"].erase(9);
  EXPECT_FALSE(compare(before, after).series[0].paired) << "one is lacking";
}

TEST_F(Comparing, HolmsCorrectionGoesOverSpeedAndMemory) {
  auto before = SuiteJson::array({timed("t", ten_times()), timed("m", ten_times(), "memory"),
                                  timed("spin", ten_times(), "null"), quality("q", 1, {{"absolute", 1}})});
  auto after = before;
  after[0]["repetitions"] = ten_times(1.1);
  const auto all = compare(suite_json("a", before), suite_json("b", after));
  EXPECT_EQ(all.tested, 2);
  EXPECT_EQ(all.series[0].p_worse_holm, 2 * all.series[0].p_worse);
}

TEST_F(Comparing, TooFewRepetitionsAreTold) {
  const std::vector<double> four = {10, 11, 12, 13};
  const auto found = one(timed("t", four), timed("t", {20, 21, 22, 23}));  // 1 / 70 is the least p
  EXPECT_EQ(found.verdict, Verdict::kTooFew);
  EXPECT_EQ(found.note, "needs at least 5 repetitions of each");  // 1 / 252
  auto before = suite_json("a", SuiteJson::array({timed("t", four)}));
  before["session"] = "s";
  const auto all = compare(before, before);
  EXPECT_EQ(all.series[0].note, "needs at least 5 repetitions of each") << "no parts would do";
  EXPECT_THAT(all.remarks, ::testing::Contains("1 of 1 tested series has too few repetitions for any change "
                                               "to be shown at a level of 1 %."));
}

TEST_F(Comparing, QualityIsJudgedByTheBaselinesTolerance) {
  const auto of = [&](double now, const SuiteJson& tolerance, const char* better = "lower", double base = 1) {
    return verdict(quality("q", base, tolerance, better), quality("q", now, tolerance, better));
  };
  EXPECT_EQ(of(1.1, {{"absolute", 0.1}}), Verdict::kSame) << "no more than the tolerance, but for rounding";
  EXPECT_EQ(of(1.11, {{"absolute", 0.1}}), Verdict::kWorse);
  EXPECT_EQ(of(0.5, {{"absolute", 0.1}}), Verdict::kBetter);
  EXPECT_EQ(of(0.5, {{"absolute", 0.1}, {"either_way", true}}), Verdict::kWorse);
  EXPECT_EQ(of(0.5, {{"absolute", 0.1}}, "higher"), Verdict::kWorse);
  EXPECT_EQ(of(-10.4, {{"relative", 0.05}}, "higher", -10), Verdict::kSame);
  EXPECT_EQ(of(-10.6, {{"relative", 0.05}}, "higher", -10), Verdict::kWorse);
  EXPECT_EQ(of(1, {{"absolute", 0}}), Verdict::kSame);
  EXPECT_EQ(of(1.000001, {{"absolute", 0}}), Verdict::kWorse);
  const auto loosened = one(quality("q", 1, {{"absolute", 0.1}}), quality("q", 2, {{"absolute", 5}}));
  EXPECT_EQ(loosened.verdict, Verdict::kWorse);
  EXPECT_EQ(loosened.note, "the tolerance is the baseline's, not the new one");
}

TEST_F(Comparing, HashesAreEqualOrNotByInstructionSet) {
  const auto of = [&](const SuiteJson& base, const SuiteJson& now) {
    return one(hashes("samples", base), hashes("samples", now));
  };
  EXPECT_EQ(of({{"AVX512", "1"}, {"AVX2", "2"}}, {{"AVX2", "2"}}).verdict, Verdict::kSame);
  const auto other = of({{"AVX512", "1"}, {"AVX2", "2"}}, {{"AVX2", "2"}, {"AVX512", "3"}});
  EXPECT_EQ(other.verdict, Verdict::kWorse);
  EXPECT_EQ(other.note, "other bytes with AVX512");
  EXPECT_EQ(of({{"AVX512", "1"}}, {{"AVX2", "2"}}).verdict, Verdict::kNotCompared);
  const auto apart = compare(suite_json("a", {hashes("samples", {{"AVX512", "1"}}), timed("t", ten_times())}),
                             suite_json("b", {hashes("samples", {{"AVX2", "1"}}), timed("t", ten_times())}));
  EXPECT_EQ(what_stays_open(apart), "1 hashes of other instruction sets or contexts");
  EXPECT_THAT(comparison_table(apart), HasSubstr("Stays open: 1 hashes of other"));
  EXPECT_EQ(comparison_record(apart)["open"], what_stays_open(apart));
}

TEST_F(Comparing, WhatTooFewRepetitionsCannotShowIsNoNoise) {
  const std::vector<double> few = {10, 10.1, 10.2};
  const auto all =
      compare(suite_json("a", {timed("t", few), timed("spin", few, "null")}),
              suite_json("b", {timed("t", {11, 11.1, 11.2}), timed("spin", {11.5, 11.6, 11.7}, "null")}));
  EXPECT_EQ(all.series[0].verdict, Verdict::kTooFew);
  EXPECT_THAT(what_stays_open(all), HasSubstr("too few repetitions to show any change"));
}

TEST_F(Comparing, QualityOfOtherSettingsIsNotCompared) {
  const auto of = [&](const SuiteJson& before, const SuiteJson& after,
                      const ComparisonOptions& options = {}) {
    auto base = quality("q", 1, {{"absolute", 0}});
    auto now = quality("q", 2, {{"absolute", 0}});
    base["context"] = before;
    now["context"] = after;
    return compare(suite_json("a", {base, timed("t", ten_times())}),
                   suite_json("b", {now, timed("t", ten_times())}), options);
  };
  const SuiteJson seeds = {{"seed", 1}, {"features", "small"}};
  EXPECT_EQ(of(seeds, seeds).series[0].verdict, Verdict::kWorse);
  const auto other = of(seeds, {{"seed", 2}, {"features", "small"}, {"count", 500}});
  EXPECT_EQ(other.series[0].verdict, Verdict::kNotCompared);
  EXPECT_EQ(other.series[0].note, "other count (– and 500), seed (1 and 2)");
  EXPECT_THAT(what_stays_open(other), HasSubstr("1 measured with other settings and not compared"));
  EXPECT_THAT(comparison_markdown(other), HasSubstr("\n| q | 1 FID | 2 FID | – | tolerance 0 | "));
  const auto allowed = of(seeds, {{"seed", 2}, {"features", "small"}}, {.allow_mismatch = true});
  EXPECT_EQ(allowed.series[0].verdict, Verdict::kWorse);
  EXPECT_THAT(allowed.series[0].note, HasSubstr("seed (1 and 2)"));
  auto before = hashes("h", {{"AVX2", "1"}});
  before["context"] = {{"seed", 1}};
  auto after = hashes("h", {{"AVX2", "2"}});
  after["context"] = {{"seed", 2}};
  EXPECT_EQ(one(before, after, {.allow_mismatch = true}).verdict, Verdict::kNotCompared);
}

TEST_F(Comparing, CommitsThatAreNotWhatTheySeemAreRemarks) {
  const auto remarks = [&](const char* before, const char* after) {
    const auto series = SuiteJson::array({quality("q", 1, {{"absolute", 1}})});
    return compare(suite_json(before, series), suite_json(after, series)).remarks;
  };
  EXPECT_THAT(remarks("a", "b"), IsEmpty());
  EXPECT_THAT(remarks("a", "a"), ElementsAre("Both are of a: what differs is not the code."));
  EXPECT_THAT(remarks("a", "b-dirty"), ElementsAre(HasSubstr("b-dirty had changes that were not committed")));
  EXPECT_THAT(remarks("b-dirty", "b-dirty"), ElementsAre(HasSubstr("b-dirty had changes")));
}

TEST_F(Comparing, AsManySeriesAsASuiteMayHave) {
  auto before = SuiteJson::array();
  for (int i = 0; i < 10'000; ++i) {
    before.push_back(quality("q" + std::to_string(i), 1, {{"absolute", 1}}));
  }
  auto after = before;
  std::reverse(after.begin(), after.end());
  EXPECT_EQ(compare(suite_json("a", before), suite_json("b", after)).count(Verdict::kSame), 10'000);
  before.push_back(quality("one more", 1, {{"absolute", 1}}));
  EXPECT_THAT(message_of<core::DataError>([&] { compare(suite_json("a", before), suite_json("b", after)); }),
              HasSubstr("base.json: series must be at most 10000, not 10001"));
}

TEST_F(Comparing, SeriesOfOneSideAreTold) {
  const auto all = compare(suite_json("a", {timed("both", ten_times()), timed("gone", ten_times())}),
                           suite_json("b", {timed("added", ten_times()), timed("both", ten_times())}));
  ASSERT_EQ(all.series.size(), 3U);
  EXPECT_EQ(all.series[1].series.name, "gone");
  EXPECT_EQ(all.series[1].verdict, Verdict::kOnlyInBase);
  EXPECT_EQ(all.series[2].series.name, "added");
  EXPECT_EQ(all.series[2].verdict, Verdict::kOnlyInNew);
  EXPECT_EQ(all.tested, 1);
  EXPECT_THAT(message_of<core::DataError>([&] {
                compare(suite_json("a", SuiteJson::array({timed("x", {1})})),
                        suite_json("b", SuiteJson::array({timed("y", {1})})));
              }),
              HasSubstr("new.json: has no series of "));
}

TEST_F(Comparing, ASeriesThatMeansSomethingElseIsRefused) {
  const auto refusal = [&](const char* key, const char* value) {
    auto now = timed("t", {1, 2});
    now[key] = value;
    return message_of<core::DataError>([&] { one(timed("t", {1, 2}), now); });
  };
  EXPECT_THAT(refusal("unit", "s"), HasSubstr("new.json: series 't': unit is s, but ms in "));
  EXPECT_THAT(refusal("kind", "memory"), HasSubstr("series 't': kind is memory, but speed in "));
  EXPECT_THAT(refusal("better", "higher"), HasSubstr("series 't': better is higher, but lower in "));
}

TEST_F(Comparing, ContextsThatDifferAreComparedOnlyIfToldTo) {
  const auto base = suite_json("a", {timed("t", ten_times()), hashes("samples", {{"AVX512", "1"}})});
  const auto changed = [&](const char* key, const SuiteJson& value) {
    auto now = base;
    now["context"][key] = value;
    return now;
  };
  for (const char* key : {"cpu", "instruction_set", "build", "libtorch", "device", "precision"}) {
    EXPECT_THAT(message_of<core::NotComparableError>([&] { compare(base, changed(key, "other")); }),
                HasSubstr(std::string("different contexts: ") + key + " ("))
        << key;
  }
  EXPECT_THAT(message_of<core::NotComparableError>([&] { compare(base, changed("threads", 4)); }),
              HasSubstr("threads (2 and 4); --allow-mismatch compares them all the same"));
  auto both = changed("threads", 4);
  both["series"][1]["hashes"]["AVX512"] = "2";
  const auto all = compare(base, both, {.allow_mismatch = true});
  EXPECT_EQ(all.series[0].verdict, Verdict::kSame);
  EXPECT_EQ(all.series[1].verdict, Verdict::kNotCompared) << "other threads may give other bytes";
  EXPECT_EQ(all.remarks[0], "The contexts differ: threads (2 and 4).");
}

TEST_F(Comparing, CompilersAndLoadsAreRemarks) {
  auto base = suite_json("a", SuiteJson::array({quality("q", 1, {{"absolute", 1}})}));
  auto now = base;
  now["commit"] = "b";
  base["context"]["load"] = 0.9;
  now["context"]["load"] = 2.25;
  now["context"]["compiler"] = "GNU 13";
  const auto all = compare(base, now);
  ASSERT_EQ(all.remarks.size(), 2U);
  EXPECT_EQ(all.remarks[0], "The compilers differ: GNU 12.2.0 and GNU 13.");
  EXPECT_THAT(all.remarks[1], HasSubstr("new.json was measured: a load of 2.2."));
}

TEST_F(Comparing, IsShownToPeopleAndPrograms) {
  auto before = SuiteJson::array({timed("a|b*", ten_times()), timed("spin", ten_times(), "null"),
                                  quality("fid", 4, {{"relative", 0.01}}),
                                  timed("rate", ten_times(), "speed", "higher")});
  auto after = before;
  after[0]["repetitions"] = ten_times(1.1);
  after[3]["repetitions"] = ten_times(1.25);
  const auto all = compare(suite_json("old", before), suite_json("fresh", after));
  EXPECT_EQ(comparison_summary(all), "1 of 4 series is worse, 1 is better");
  EXPECT_EQ(what_is_worse(all), "a|b* (+10.0 %)");
  const auto table = comparison_table(all);
  EXPECT_THAT(table, HasSubstr("\na|b*       10 ms    11 ms  +10.0 %  "));
  EXPECT_THAT(table, HasSubstr("  worse\n"));
  EXPECT_THAT(table, HasSubstr("fresh of 2026-11-26T02:00:00Z against old of 2026-11-26T02:00:00Z: 1 of 4 "));
  const auto markdown = comparison_markdown(all);
  EXPECT_THAT(markdown, ::testing::StartsWith("### 1 of 4 series is worse, 1 is better\n\n"));
  EXPECT_THAT(markdown, HasSubstr("| a\\|b\\* | 10 ms | 11 ms | +10.0 % | "));
  EXPECT_THAT(markdown,
              HasSubstr("<details><summary>The other 2 series: 1 null, 1 same</summary>\n\n| series |"));
  EXPECT_THAT(markdown, HasSubstr("| spin | 10 ms | 10 ms | +0.0 % | "));
  EXPECT_THAT(markdown, HasSubstr("- Noise, by the null subject: spin 0.2 %."));
  EXPECT_THAT(markdown, HasSubstr("| fid | 4 FID | 4 FID | +0 | tolerance 1 % | – | same |"));
  const auto record = comparison_record(all);
  EXPECT_EQ(record["kind"], "comparison");
  EXPECT_EQ(record["worse"], 1);
  EXPECT_EQ(record["base"]["commit"], "old");
  EXPECT_EQ(record["series"][0]["verdict"], "worse");
  EXPECT_NEAR(record["series"][0]["ratio"].get<double>(), 1.1, 1e-12);
  EXPECT_NEAR(record["series"][3]["ratio"].get<double>(), 1.25, 1e-12);
  EXPECT_LT(record["series"][3]["ratio_low"].get<double>(), record["series"][3]["ratio_high"].get<double>());
  EXPECT_FALSE(core::record_text(record).empty());
}

}  // namespace
}  // namespace ddpm_eval::eval
