#include "eval/compare/comparison.h"

#include "base/core/error.h"
#include "base/core/statistics.h"
#include "base/core/text.h"

#include <algorithm>
#include <cmath>
#include <utility>

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

/// The better of two tests, which therefore counts twice (Bonferroni): drift that a pair shares hides a
/// change from the rank sum, and few pairs cannot be significant by their signs, however large the change.
double better_of(double p, double other) { return std::min(1.0, 2 * std::min(p, other)); }

double smallest_p(int64_t base_count, int64_t now_count, bool paired) {
  const double rank_sum = core::smallest_rank_sum_p(base_count, now_count);
  return paired ? better_of(rank_sum, core::smallest_signed_rank_p(base_count)) : rank_sum;
}

std::vector<double> moved(std::vector<double> values, double by) {
  for (auto& value : values) {
    value += by;
  }
  return values;
}

/// Between two sessions the machine itself may have changed: what is tested there is a change larger than
/// `apart`.
void measure_change(const SuiteSeries& now, bool one_session, double apart, SeriesComparison& result) {
  const auto& base = result.series;
  result.base = core::median(base.repetitions, kChangeConfidence).value;
  result.now = core::median(now.repetitions, kChangeConfidence).value;
  result.base_count = static_cast<int64_t>(base.repetitions.size());
  result.now_count = static_cast<int64_t>(now.repetitions.size());
  result.paired = one_session && result.base_count == result.now_count;
  const auto of_base = badness_of(base);
  const auto of_now = badness_of(now);
  const auto p = core::rank_sum_test(moved(of_now, -apart), of_base);
  result.p_worse = p.greater;
  result.p_better = apart == 0 ? p.less : core::rank_sum_test(moved(of_now, apart), of_base).less;
  if (result.paired) {
    std::vector<double> differences;
    for (size_t i = 0; i < of_now.size(); ++i) {
      differences.push_back(of_now[i] - of_base[i]);
    }
    const auto signed_rank = core::signed_rank_test(differences);
    result.p_worse = better_of(result.p_worse, signed_rank.greater);
    result.p_better = better_of(result.p_better, signed_rank.less);
    result.worsening = core::paired_shift(differences, kChangeConfidence);
  } else {
    result.worsening = core::shift(of_now, of_base, kChangeConfidence);
  }
}

void judge_quality(const SuiteSeries& now, SeriesComparison& result) {
  const auto& base = result.series;
  result.base = base.value;
  result.now = now.value;
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

void judge_hash(const SuiteSeries& now, bool same_context, SeriesComparison& result) {
  result.verdict = Verdict::kNotCompared;
  result.note = same_context ? "no instruction set is in both" : "the contexts differ";
  if (!same_context) {
    return;
  }
  for (const auto& [instruction_set, hash] : now.hashes) {
    const auto before = result.series.hashes.find(instruction_set);
    if (before == result.series.hashes.end() || result.verdict == Verdict::kWorse) {
      continue;
    }
    const bool equal = before->second == hash;
    result.verdict = equal ? Verdict::kSame : Verdict::kWorse;
    result.note = equal ? "" : fmt::format("other bytes with {}", instruction_set);
  }
}

/// All that does not depend on other series.
void judge_alone(const SuiteSeries& now, bool one_session, bool same_context, double noise,
                 SeriesComparison& result) {
  switch (now.kind) {
    case SeriesKind::kSpeed:
      measure_change(now, one_session, one_session ? 0 : noise, result);
      break;
    case SeriesKind::kMemory:
      measure_change(now, one_session, 0, result);
      break;
    case SeriesKind::kQuality:
      judge_quality(now, result);
      break;
    case SeriesKind::kHash:
      judge_hash(now, same_context, result);
      break;
    case SeriesKind::kNull:
      break;
  }
}

bool is_tested(const SeriesComparison& one) {
  const auto kind = one.series.kind;
  return one.now_count > 0 && one.base_count > 0 &&
         (kind == SeriesKind::kSpeed || kind == SeriesKind::kMemory);
}

Verdict verdict_of(const SeriesComparison& one, const SuiteComparison& all) {
  const bool worse = one.p_worse_holm < all.options.level;
  const bool better = one.p_better_holm < all.options.level;
  const double size = worse    ? one.worsening.value
                      : better ? -one.worsening.value
                               : std::abs(one.worsening.value);
  if (size <= std::log1p(all.options.threshold)) {
    return worse || better ? Verdict::kSmall : Verdict::kSame;
  }
  // The null subject is work for the processor: it says nothing of sizes.
  if (one.series.kind == SeriesKind::kSpeed && all.noise && size <= *all.noise) {
    return Verdict::kWithinNoise;
  }
  if (!worse && !better) {
    return Verdict::kSame;
  }
  return worse ? Verdict::kWorse : Verdict::kBetter;
}

/// Of each side.
int64_t needed_repetitions(int64_t family, bool paired, double level) {
  int64_t n = 1;
  while (!(static_cast<double>(family) * smallest_p(n, n, paired) < level)) {
    ++n;
  }
  return n;
}

void judge_tested(SuiteComparison& comparison) {
  std::vector<SeriesComparison*> tested;
  std::vector<double> worse;
  std::vector<double> better;
  for (auto& one : comparison.series) {
    if (is_tested(one)) {
      tested.push_back(&one);
      worse.push_back(one.p_worse);
      better.push_back(one.p_better);
    }
  }
  comparison.tested = static_cast<int64_t>(tested.size());
  const auto worse_holm = core::holm(worse);
  const auto better_holm = core::holm(better);
  for (size_t i = 0; i < tested.size(); ++i) {
    auto& one = *tested[i];
    one.p_worse_holm = worse_holm[i];
    one.p_better_holm = better_holm[i];
    const double reachable =
        static_cast<double>(comparison.tested) * smallest_p(one.base_count, one.now_count, one.paired);
    one.verdict = verdict_of(one, comparison);
    if (one.verdict == Verdict::kSame && !(reachable < comparison.options.level)) {
      one.verdict = Verdict::kTooFew;
      one.note = fmt::format("needs at least {} repetitions of each",
                             needed_repetitions(comparison.tested, one.paired, comparison.options.level));
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
    comparison.noise = std::max(comparison.noise.value_or(0), reach);
  }
}

std::string share_text(double log_ratio) { return fmt::format("{:.1f} %", 100 * std::expm1(log_ratio)); }

void add_remarks(SuiteComparison& all) {
  const bool speed = std::ranges::any_of(
      all.series, [](const auto& one) { return is_tested(one) && one.series.kind == SeriesKind::kSpeed; });
  if (speed && !all.noise) {
    all.remarks.emplace_back("There is no null subject in both: the noise of this machine is not known.");
  } else if (all.noise && *all.noise > std::log1p(all.options.threshold)) {
    all.remarks.push_back(
        fmt::format("The null subject shows changes of up to {}: speed counts as changed only beyond that.",
                    share_text(*all.noise)));
  }
  if (const auto few = all.count(Verdict::kTooFew); few > 0) {
    all.remarks.push_back(fmt::format(
        "{} of {} tested series ha{} too few repetitions for any change to be shown at a level of {:.3g} %.",
        few, all.tested, few == 1 ? "s" : "ve", 100 * all.options.level));
  }
  if (const auto gone = all.count(Verdict::kOnlyInBase); gone > 0) {
    all.remarks.push_back(
        fmt::format("{} series of the baseline {} no longer measured.", gone, gone == 1 ? "is" : "are"));
  }
  if (all.base.compiler != all.now.compiler) {
    all.remarks.push_back(
        fmt::format("The compilers differ: {} and {}.", all.base.compiler, all.now.compiler));
  }
  for (const auto* suite : {&all.base, &all.now}) {
    if (suite->load && *suite->load >= 1) {
      all.remarks.push_back(fmt::format("Other programs were running when {} was measured: a load of {:.1f}.",
                                        suite->file, *suite->load));
    }
  }
}

/// What differs, in words; empty if nothing does.
std::string context_difference(const Suite& base, const Suite& now) {
  std::string text;
  for (size_t i = 0; i < base.context.size(); ++i) {
    const auto& [key, before] = base.context[i];
    const auto& after = now.context[i].second;
    if (before != after) {
      text += fmt::format("{}{} ({} and {})", text.empty() ? "" : ", ", key, core::excerpt(before),
                          core::excerpt(after));
    }
  }
  return text;
}

void require_same_meaning(const SuiteSeries& base, const SuiteSeries& now, const SuiteComparison& all) {
  const auto require = [&](const char* key, const std::string& before, const std::string& after) {
    if (before != after) {
      throw core::DataError("{}: series '{}': {} is {}, but {} in {}", all.now.file, core::excerpt(now.name),
                            key, core::excerpt(after), core::excerpt(before), all.base.file);
    }
  };
  const auto direction = [](const SuiteSeries& one) { return one.higher_is_better ? "higher" : "lower"; };
  require("kind", kind_name(base.kind), kind_name(now.kind));
  require("unit", base.unit, now.unit);
  require("better", direction(base), direction(now));
}

/// Puts all series into the comparison; returns for each the new one of the same name, or null.
std::vector<const SuiteSeries*> pair_up(SuiteComparison& all) {
  const auto find = [](const Suite& suite, const std::string& name) -> const SuiteSeries* {
    const auto found = std::ranges::find_if(suite.series, [&](const auto& one) { return one.name == name; });
    return found != suite.series.end() ? &*found : nullptr;
  };
  std::vector<const SuiteSeries*> partners;
  for (const auto& series : all.base.series) {
    partners.push_back(find(all.now, series.name));
    all.series.push_back({.series = series});
    if (partners.back() == nullptr) {
      all.series.back().verdict = Verdict::kOnlyInBase;
    } else {
      require_same_meaning(series, *partners.back(), all);
    }
  }
  if (std::ranges::all_of(partners, [](const auto* partner) { return partner == nullptr; })) {
    throw core::DataError("{}: has no series of {}", all.now.file, all.base.file);
  }
  for (const auto& series : all.now.series) {
    if (find(all.base, series.name) == nullptr) {
      all.series.push_back({.series = series, .verdict = Verdict::kOnlyInNew});
    }
  }
  return partners;
}

}  // namespace

std::string verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kWorse:
      return "worse";
    case Verdict::kBetter:
      return "better";
    case Verdict::kSame:
      return "same";
    case Verdict::kSmall:
      return "below threshold";
    case Verdict::kWithinNoise:
      return "within noise";
    case Verdict::kTooFew:
      return "too few";
    case Verdict::kNull:
      return "null";
    case Verdict::kOnlyInBase:
      return "only in baseline";
    case Verdict::kOnlyInNew:
      return "only in new";
    case Verdict::kNotCompared:
      return "not compared";
  }
  return {};
}

int64_t SuiteComparison::count(Verdict verdict) const {
  return std::ranges::count_if(series, [&](const auto& one) { return one.verdict == verdict; });
}

SuiteComparison compare_suites(Suite base, Suite now, const ComparisonOptions& options) {
  SuiteComparison all{std::move(base), std::move(now), options, {}, 0, {}, {}};
  const auto difference = context_difference(all.base, all.now);
  if (!difference.empty()) {
    if (!options.allow_mismatch) {
      throw core::NotComparableError(
          "{} and {} were measured in different contexts: {}; --allow-mismatch compares them all the same",
          all.base.file, all.now.file, difference);
    }
    all.remarks.push_back("The contexts differ: " + difference + ".");
  }
  const bool one_session = !all.base.session.empty() && all.base.session == all.now.session;
  const auto partners = pair_up(all);
  for (size_t i = 0; i < partners.size(); ++i) {
    if (partners[i] != nullptr && partners[i]->kind == SeriesKind::kNull) {
      measure_change(*partners[i], one_session, 0, all.series[i]);
    }
  }
  find_noise(all);
  for (size_t i = 0; i < partners.size(); ++i) {
    if (partners[i] != nullptr) {
      judge_alone(*partners[i], one_session, difference.empty(), all.noise.value_or(0), all.series[i]);
    }
  }
  judge_tested(all);
  add_remarks(all);
  return all;
}

std::string what_stays_open(const SuiteComparison& comparison) {
  std::vector<std::string> reasons;
  if (const auto missing = comparison.count(Verdict::kOnlyInBase); missing > 0) {
    reasons.push_back(fmt::format("{} of the baseline's series not measured", missing));
  }
  if (comparison.tested > 0 && comparison.count(Verdict::kTooFew) == comparison.tested) {
    reasons.emplace_back("too few repetitions to show any change of speed or memory");
  }
  const auto hidden = std::ranges::count_if(comparison.series, [](const SeriesComparison& one) {
    return one.verdict == Verdict::kWithinNoise && one.worsening.low > 0;
  });
  if (hidden > 0) {
    reasons.push_back(fmt::format("{} slower by no more than the null subject's noise", hidden));
  }
  return fmt::format("{}", fmt::join(reasons, "; "));
}

}  // namespace ddpm_eval::eval
