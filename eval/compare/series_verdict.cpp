#include "eval/compare/series_verdict.h"

#include "base/core/statistics.h"
#include "base/core/text.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

/// Logarithms, signed so that more is worse.
std::vector<double> badness_of(const SuiteSeries& series) {
  std::vector<double> logs;
  for (const double value : series.repetitions) {
    logs.push_back(series.higher_is_better ? -std::log(value) : std::log(value));
  }
  return logs;
}

/// The better of two tests, which therefore counts twice (Bonferroni): drift hides a change from the rank sum
/// of all, and few values in a block cannot be significant, however large the change.
double better_of(double p, double other) { return std::min(1.0, 2 * std::min(p, other)); }

/// So many parts of n and n repetitions in turn, the smaller the better against drift, that the test within
/// them can still reach the level, with room for some values out of order; 1 if none can.
int64_t blocks_of(int64_t n, const Judging& judging) {
  constexpr double kRoom = 10;
  int64_t least = 1;  ///< pairs in a block
  while (least <= n / 2 &&
         !(2 * kRoom * static_cast<double>(judging.tested) * core::smallest_blocked_rank_sum_p(n, n / least) <
           judging.level)) {
    ++least;
  }
  return least <= n / 2 ? n / least : 1;
}

double smallest_p(int64_t base_count, int64_t now_count, bool in_blocks) {
  return std::min(1.0, (in_blocks ? 2 : 1) * core::smallest_rank_sum_p(base_count, now_count));
}

std::vector<double> moved(std::vector<double> values, double by) {
  for (auto& value : values) {
    value += by;
  }
  return values;
}

}  // namespace

void measure_change(const SuiteSeries& now, const Judging& judging, double apart, SeriesComparison& result) {
  const auto& base = result.series;
  result.base = core::middle(base.repetitions);
  result.now = core::middle(now.repetitions);
  result.base_count = static_cast<int64_t>(base.repetitions.size());
  result.now_count = static_cast<int64_t>(now.repetitions.size());
  result.paired = judging.one_session && result.base_count == result.now_count;
  result.blocks = result.paired ? blocks_of(result.base_count, judging) : 1;
  const auto of_base = badness_of(base);
  const auto of_now = badness_of(now);
  const auto p = core::rank_sum_test(moved(of_now, -apart), of_base);
  result.p_worse = p.greater;
  result.p_better = apart == 0 ? p.less : core::rank_sum_test(moved(of_now, apart), of_base).less;
  if (result.blocks > 1) {
    const auto within = core::blocked_rank_sum_test(of_now, of_base, result.blocks);
    result.p_worse = better_of(result.p_worse, within.greater);
    result.p_better = better_of(result.p_better, within.less);
  }
  if (result.paired) {
    std::vector<double> differences;
    for (size_t i = 0; i < of_now.size(); ++i) {
      differences.push_back(of_now[i] - of_base[i]);
    }
    result.worsening = core::paired_shift(differences, kChangeConfidence);
  } else {
    result.worsening = core::shift(of_now, of_base, kChangeConfidence);
  }
}

namespace {

void judge_quality(const SuiteSeries& now, SeriesComparison& result) {
  const auto& base = result.series;
  const auto& tolerance = base.tolerance;
  const double rise = now.value - base.value;
  const double worse_by = base.higher_is_better ? -rise : rise;
  const double rounding = 1e-12 * std::max(std::abs(base.value), std::abs(now.value));
  const double allowed = tolerance.size * (tolerance.relative ? std::abs(base.value) : 1) + rounding;
  if (worse_by > allowed || (tolerance.either_way && -worse_by > allowed)) {
    result.verdict = Verdict::kWorse;
  } else {
    result.verdict = -worse_by > allowed ? Verdict::kBetter : Verdict::kSame;
  }
  if (now.tolerance != tolerance) {
    result.note = "the tolerance is the baseline's, not the new one";
  }
}

void judge_hash(const SuiteSeries& now, SeriesComparison& result) {
  result.verdict = Verdict::kNotCompared;
  result.note = "no instruction set is in both";
  for (const auto& [instruction_set, hash] : now.hashes) {
    const auto before = result.series.hashes.find(instruction_set);
    if (before == result.series.hashes.end() || result.verdict == Verdict::kWorse) {
      continue;
    }
    const bool equal = before->second == hash;
    result.verdict = equal ? Verdict::kSame : Verdict::kWorse;
    result.note = equal ? "" : fmt::format("other bytes with {}", core::excerpt(instruction_set));
  }
}

/// Of what a series itself was measured with, in words; empty if nothing.
std::string difference_of(const SuiteSeries& base, const SuiteSeries& now) {
  auto keys = base.context;
  keys.insert(now.context.begin(), now.context.end());
  std::string text;
  for (const auto& [key, unused] : keys) {
    const auto value = [&key = key](const SuiteSeries& series) {
      const auto found = series.context.find(key);
      return found == series.context.end() ? "–" : core::excerpt(found->second);
    };
    if (value(base) != value(now)) {
      text += fmt::format("{}{} ({} and {})", text.empty() ? "" : ", ", core::excerpt(key), value(base),
                          value(now));
    }
  }
  return text;
}

}  // namespace

void judge_alone(const SuiteSeries& now, const Judging& judging, double noise, SeriesComparison& result) {
  const auto difference = difference_of(result.series, now);
  const bool is_hash = now.kind == SeriesKind::kHash;
  if (now.kind == SeriesKind::kQuality) {
    result.base = result.series.value;
    result.now = now.value;
  }
  if (!difference.empty() && (is_hash || !judging.allow_mismatch)) {
    result.verdict = Verdict::kNotCompared;
    result.other_context = true;
    result.note = "other " + difference;
    return;
  }
  if (is_hash && !judging.same_context) {  // other threads may give other bytes
    result.verdict = Verdict::kNotCompared;
    result.note = "the contexts differ";
    return;
  }
  switch (now.kind) {
    case SeriesKind::kSpeed:
      measure_change(now, judging, judging.one_session ? 0 : noise, result);
      break;
    case SeriesKind::kMemory:
      measure_change(now, judging, 0, result);
      break;
    case SeriesKind::kQuality:
      judge_quality(now, result);
      if (!difference.empty()) {
        result.note = "other " + difference;
      }
      break;
    case SeriesKind::kHash:
      judge_hash(now, result);
      break;
    case SeriesKind::kNull:
      break;
  }
}

bool is_tested(SeriesKind kind) { return kind == SeriesKind::kSpeed || kind == SeriesKind::kMemory; }

namespace {

Verdict verdict_of(const SeriesComparison& one, const SuiteComparison& all) {
  const bool worse = one.p_worse_holm < all.options.level;
  const bool better = one.p_better_holm < all.options.level;
  const double size = worse    ? one.worsening.value
                      : better ? -one.worsening.value
                               : std::abs(one.worsening.value);
  if (size <= std::log1p(all.options.threshold)) {
    return worse || better ? Verdict::kSmall : Verdict::kSame;
  }
  // Null subjects are timed: they say nothing of sizes.
  const auto noise = all.noise_for(one.series);
  const bool one_session = !all.base.session.empty() && all.base.session == all.now.session;
  // Between two sessions the tests are of changes beyond the noise, and say nothing of smaller ones.
  const bool may_differ = worse || better || !one_session;
  if (one.series.kind == SeriesKind::kSpeed && noise && size <= *noise && may_differ) {
    return Verdict::kWithinNoise;
  }
  if (!worse && !better) {
    return Verdict::kSame;
  }
  return worse ? Verdict::kWorse : Verdict::kBetter;
}

/// Of each side.
int64_t needed_repetitions(int64_t family, bool in_blocks, double level) {
  int64_t n = 1;
  while (!(static_cast<double>(family) * smallest_p(n, n, in_blocks) < level)) {
    ++n;
  }
  return n;
}

}  // namespace

void judge_tested(SuiteComparison& comparison) {
  std::vector<SeriesComparison*> tested;
  std::vector<double> worse;
  std::vector<double> better;
  for (auto& one : comparison.series) {
    if (one.now_count > 0 && is_tested(one.series.kind)) {
      tested.push_back(&one);
      worse.push_back(one.p_worse);
      better.push_back(one.p_better);
    }
  }
  const auto worse_holm = core::holm(worse);
  const auto better_holm = core::holm(better);
  for (size_t i = 0; i < tested.size(); ++i) {
    auto& one = *tested[i];
    one.p_worse_holm = worse_holm[i];
    one.p_better_holm = better_holm[i];
    const double reachable =
        static_cast<double>(comparison.tested) * smallest_p(one.base_count, one.now_count, one.blocks > 1);
    one.verdict = verdict_of(one, comparison);
    const bool shows_nothing = one.verdict == Verdict::kSame || one.verdict == Verdict::kWithinNoise;
    if (shows_nothing && !(reachable < comparison.options.level)) {
      one.verdict = Verdict::kTooFew;
      one.note = fmt::format("needs at least {} repetitions of each",
                             needed_repetitions(comparison.tested, one.blocks > 1, comparison.options.level));
    }
  }
}

void find_noise(SuiteComparison& comparison) {
  for (auto& one : comparison.series) {
    if (one.series.kind != SeriesKind::kNull || one.now_count == 0 || one.base_count == 0) {
      continue;
    }
    one.verdict = Verdict::kNull;
    const auto& change = one.worsening;
    double reach = std::max(std::abs(change.low), std::abs(change.high));
    if (!std::isfinite(reach)) {
      reach = std::abs(change.value);
      one.note = "too few repetitions for an interval: its median stands for the noise";
    }
    comparison.noise_by_subject[one.series.name] = reach;
    comparison.noise = std::max(comparison.noise.value_or(0), reach);
  }
}

}  // namespace ddpm_eval::eval
