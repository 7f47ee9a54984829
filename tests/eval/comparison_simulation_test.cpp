#include "eval/compare/comparison.h"
#include "tests/support/hashes.h"

#include <cmath>
#include <cstdint>
#include <numbers>

#include <fmt/format.h>
#include <gtest/gtest.h>

// How often a suite is called worse when nothing is, and how often a slow-down is found, on simulated nights.
// Everything is drawn from fixed seeds.
namespace ddpm_eval::eval {
namespace {

constexpr int64_t kNights = 400;
constexpr int64_t kManyNights = 2000;  ///< of the slow tests

class Draws {
 public:
  explicit Draws(uint64_t seed) : seed_(core::mix64(seed)) {}
  /// In (0, 1].
  double uniform() { return (static_cast<double>(testing::splitmix64(seed_, ++at_) >> 11U) + 1) * 0x1p-53; }
  double normal() {
    const double radius = std::sqrt(-2 * std::log(uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  }

 private:
  uint64_t seed_;
  uint64_t at_ = 0;
};

/// How a machine behaves. Sizes are deviations of logarithms.
struct Machine {
  int64_t series = 40;
  int64_t repetitions = 10;
  double noise = 0.03;     ///< of each repetition alone
  double wander = 0;       ///< of what neighbours share: an AR(1) process over repetitions in turn
  double persistence = 0;  ///< its coefficient
  double drift = 0;        ///< from the first to the last repetition
  double spikes = 0;       ///< the share of repetitions that take half as long again
  bool in_turn = true;     ///< A B A B; else in two nights
  double apart = 0;        ///< of what each of two nights is faster or slower by, alike for all work
  bool has_null = true;
};

SuiteSeries make_series(int64_t index, SeriesKind kind) {
  SuiteSeries series;
  series.name = fmt::format("{} {}", kind_name(kind), index);
  series.kind = kind;
  series.unit = "ms";
  return series;
}

/// Of both builds; the first series of the new one takes `slow_down` times as long.
SuiteComparison compare_night(const Machine& machine, uint64_t seed, double slow_down,
                              const ComparisonOptions& options) {
  Draws draws(seed);
  Suite base;
  Suite now;
  base.session = now.session = machine.in_turn ? "tonight" : "";
  const double base_offset = machine.in_turn ? 0 : machine.apart * draws.normal();
  const double now_offset = machine.in_turn ? 0 : machine.apart * draws.normal();
  for (int64_t index = 0; index < machine.series + (machine.has_null ? 1 : 0); ++index) {
    const auto kind = index == machine.series ? SeriesKind::kNull : SeriesKind::kSpeed;
    auto of_base = make_series(index, kind);
    auto of_now = of_base;
    double shared = draws.normal();
    const auto measure = [&](int64_t turn) {
      shared = machine.persistence * shared +
               std::sqrt(1 - machine.persistence * machine.persistence) * draws.normal();
      const double spike = draws.uniform() < machine.spikes ? std::log(1.5) : 0;
      const double drift =
          machine.drift * static_cast<double>(turn) / static_cast<double>(2 * machine.repetitions);
      return machine.noise * draws.normal() + machine.wander * shared + drift + spike;
    };
    for (int64_t i = 0; i < machine.repetitions; ++i) {
      of_base.repetitions.push_back(std::exp(base_offset + measure(2 * i)));
      of_now.repetitions.push_back(std::exp(now_offset + measure(2 * i + 1)) * (index == 0 ? slow_down : 1));
    }
    base.series.push_back(std::move(of_base));
    now.series.push_back(std::move(of_now));
  }
  return compare_suites(std::move(base), std::move(now), options);
}

/// The nights in which anything is called worse.
int64_t alarms(const char* name, const Machine& machine, int64_t nights, const ComparisonOptions& options) {
  int64_t count = 0;
  for (int64_t night = 0; night < nights; ++night) {
    const auto seed = testing::fnv1a(name) + static_cast<uint64_t>(night);
    count += compare_night(machine, seed, 1, options).count(Verdict::kWorse) > 0 ? 1 : 0;
  }
  fmt::print("false alarms, {}: {} of {} nights\n", name, count, nights);
  return count;
}

double false_alarms(const char* name, const Machine& machine, const ComparisonOptions& options = {}) {
  return static_cast<double>(alarms(name, machine, kNights, options)) / static_cast<double>(kNights);
}

/// The share that `count` of `total` is at most, with a confidence of 95 % (Clopper & Pearson 1934): where as
/// few or fewer would be seen in 5 % of the cases.
double upper_bound(int64_t count, int64_t total) {
  const auto chance_of_as_few = [&](double share) {
    double term = std::pow(1 - share, static_cast<double>(total)), sum = term;
    for (int64_t i = 1; i <= count; ++i) {
      term *= static_cast<double>(total - i + 1) / static_cast<double>(i) * share / (1 - share);
      sum += term;
    }
    return sum;
  };
  double low = 0, high = 0.5;
  for (int i = 0; i < 50; ++i) {
    const double half = 0.5 * (low + high);
    (chance_of_as_few(half) > 0.05 ? low : high) = half;
  }
  return high;
}

/// Of false alarms.
double most_alarms(const char* name, const Machine& machine) {
  const double most = upper_bound(alarms(name, machine, kManyNights, {}), kManyNights);
  fmt::print("  at most {:.2f} %, with a confidence of 95 %\n", 100 * most);
  return most;
}

/// The share of nights in which a slow-down of a tenth is found.
double power(const char* name, const Machine& machine, int64_t nights = kNights / 2) {
  int64_t found = 0;
  for (int64_t night = 0; night < nights; ++night) {
    const auto seed = testing::fnv1a(name) + static_cast<uint64_t>(night);
    found += compare_night(machine, seed, 1.1, {}).series[0].verdict == Verdict::kWorse ? 1 : 0;
  }
  const double share = static_cast<double>(found) / static_cast<double>(nights);
  fmt::print("a slow-down of 10 % found, {}: {:.1f} %\n", name, 100 * share);
  return share;
}

TEST(ComparisonSimulation, TheTestsAloneKeepTheLevel) {
  // Without a smallest effect, which makes most false alarms impossible, rank sums have all but 1 % of them:
  // what is counted may exceed that by three standard errors.
  const double most = 0.01 + 3 * std::sqrt(0.01 * 0.99 / static_cast<double>(kNights));
  EXPECT_LE(false_alarms("any effect, pairs", {}, {.threshold = 0}), most);
  EXPECT_LE(false_alarms("any effect, no pairs", {.in_turn = false, .has_null = false}, {.threshold = 0}),
            most);
}

TEST(ComparisonSimulation, FalseAlarmsAreRareWhateverTheMachineDoes) {
  EXPECT_LE(false_alarms("quiet", {}), 0.01);
  EXPECT_LE(false_alarms("loud", {.noise = 0.1}), 0.01);
  EXPECT_LE(false_alarms("drifting", {.drift = 0.2}), 0.01);
  EXPECT_LE(false_alarms("wandering", {.wander = 0.1, .persistence = 0.9}), 0.01);
  EXPECT_LE(
      false_alarms("wandering, many repetitions", {.repetitions = 15, .wander = 0.1, .persistence = 0.9}),
      0.01);
  EXPECT_LE(false_alarms("with spikes", {.spikes = 0.1}), 0.01);
}

TEST(ComparisonSimulation, ALoudMachineLeavesNothingOpen) {
  const Machine loud{.repetitions = 12, .noise = 0.15, .spikes = 0.1};
  int64_t open = 0;
  for (int64_t night = 0; night < kNights; ++night) {
    open += what_stays_open(compare_night(loud, 77 + static_cast<uint64_t>(night), 1, {})).empty() ? 0 : 1;
  }
  EXPECT_LE(static_cast<double>(open) / static_cast<double>(kNights), 0.01);
}

TEST(ComparisonSimulation, TheNullSubjectTellsNightsApart) {
  EXPECT_LE(false_alarms("two nights", {.in_turn = false, .apart = 0.05}), 0.01);
}

TEST(ComparisonSimulation, ASlowDownOfATenthIsFound) {
  EXPECT_GE(power("noise 2 %", {.noise = 0.02}), 0.9);
  EXPECT_GE(power("noise 3 %", {}), 0.9);
  EXPECT_GE(power("noise 4 %", {.repetitions = 15, .noise = 0.04}), 0.9);
  EXPECT_GE(power("drifting", {.noise = 0.02, .drift = 0.1}), 0.9);
  // A virtual machine that differs by a tenth from minute to minute.
  EXPECT_GE(power("wandering", {.repetitions = 15, .noise = 0.02, .wander = 0.1, .persistence = 0.97}), 0.9);
  EXPECT_GE(power("two nights", {.repetitions = 15, .noise = 0.02, .in_turn = false}), 0.9);
}

TEST(ComparisonSimulation, BoundsAreThoseOfTheBinomialDistribution) {
  EXPECT_NEAR(upper_bound(0, 299), 0.009969, 1e-6);  // 1 - 0.05^(1 / 299)
  EXPECT_NEAR(upper_bound(3, 100), 0.075711, 1e-5);  // SciPy 1.10.1: beta.ppf(0.95, 4, 97)
}

/// What a night here is like: docs/benchmarks.md.
constexpr Machine kNight{.series = 150, .repetitions = 12, .noise = 0.03};

Machine night_with(double wander, double drift, double spikes) {
  auto machine = kNight;
  machine.wander = wander;
  machine.persistence = wander > 0 ? 0.9 : 0;
  machine.drift = drift;
  machine.spikes = spikes;
  return machine;
}

TEST(SlowComparisonSimulation, FalseAlarmsAreAtMostOnePercent) {
  EXPECT_LE(most_alarms("a whole night", kNight), 0.01);
  EXPECT_LE(most_alarms("a whole night, drifting", night_with(0, 0.2, 0)), 0.01);
  EXPECT_LE(most_alarms("a whole night, wandering", night_with(0.1, 0, 0)), 0.01);
  EXPECT_LE(most_alarms("a whole night, with spikes", night_with(0, 0, 0.05)), 0.01);
  Machine apart = kNight;
  apart.in_turn = false;
  apart.apart = 0.05;
  EXPECT_LE(most_alarms("two whole nights", apart), 0.01);
}

TEST(SlowComparisonSimulation, ASlowDownOfATenthIsFoundInAWholeNight) {
  EXPECT_GE(power("a whole night", kNight, kNights), 0.9);
  EXPECT_GE(power("a whole night, drifting", night_with(0, 0.05, 0), kNights), 0.9);
}

}  // namespace
}  // namespace ddpm_eval::eval
