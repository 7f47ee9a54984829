#include "eval/compare/comparison.h"

#include "base/core/error.h"
#include "base/core/text.h"
#include "eval/compare/series_verdict.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

std::string share_text(double log_ratio) { return fmt::format("{:.1f} %", 100 * std::expm1(log_ratio)); }

/// On commits that are not what they seem.
void add_commit_remarks(SuiteComparison& all) {
  const auto is_dirty = [](const std::string& commit) { return commit.ends_with("-dirty"); };
  const auto& before = all.base.commit;
  const auto& after = all.now.commit;
  for (const auto* commit : {&before, &after}) {
    if (is_dirty(*commit) && (commit == &before || before != after)) {
      all.remarks.push_back(fmt::format(
          "{} had changes that were not committed: what was measured cannot be built again.", *commit));
    }
  }
  if (before == after && !is_dirty(before)) {
    all.remarks.push_back(fmt::format("Both are of {}: what differs is not the code.", before));
  }
}

void add_remarks(SuiteComparison& all) {
  add_commit_remarks(all);
  const bool speed = std::ranges::any_of(
      all.series, [](const auto& one) { return one.now_count > 0 && one.series.kind == SeriesKind::kSpeed; });
  if (speed && !all.noise) {
    all.remarks.emplace_back("There is no null subject in both: the noise of this machine is not known.");
  }
  for (const auto& [name, noise] : all.noise_by_subject) {
    if (noise > std::log1p(all.options.threshold)) {
      all.remarks.push_back(fmt::format(
          "The null subject {} shows changes of up to {}: speed {}counts as changed only beyond that.", name,
          share_text(noise), all.noise_by_subject.size() > 1 ? "that goes by it " : ""));
    }
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

using SeriesByName = std::unordered_map<std::string_view, const SuiteSeries*>;

SeriesByName by_name(const Suite& suite) {
  SeriesByName found;
  for (const auto& series : suite.series) {
    found.emplace(series.name, &series);
  }
  return found;
}

/// Puts all series into the comparison; returns for each the new one of the same name, or null.
std::vector<const SuiteSeries*> pair_up(SuiteComparison& all) {
  const auto of_base = by_name(all.base), of_now = by_name(all.now);
  std::vector<const SuiteSeries*> partners;
  for (const auto& series : all.base.series) {
    const auto partner = of_now.find(series.name);
    partners.push_back(partner == of_now.end() ? nullptr : partner->second);
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
    if (!of_base.contains(series.name)) {
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

std::optional<double> SuiteComparison::noise_for(const SuiteSeries& one) const {
  const auto found = noise_by_subject.find(one.null_subject);
  return found == noise_by_subject.end() ? noise : found->second;
}

SuiteComparison compare_suites(Suite base, Suite now, const ComparisonOptions& options) {
  SuiteComparison all{.base = std::move(base), .now = std::move(now), .options = options};
  const auto difference = context_difference(all.base, all.now);
  if (!difference.empty()) {
    if (!options.allow_mismatch) {
      throw core::NotComparableError(
          "{} and {} were measured in different contexts: {}; --allow-mismatch compares them all the same",
          all.base.file, all.now.file, difference);
    }
    all.remarks.push_back("The contexts differ: " + difference + ".");
  }
  const auto partners = pair_up(all);
  all.tested =
      std::ranges::count_if(partners, [](const auto* one) { return one != nullptr && is_tested(one->kind); });
  const Judging judging{.one_session = !all.base.session.empty() && all.base.session == all.now.session,
                        .same_context = difference.empty(),
                        .allow_mismatch = options.allow_mismatch,
                        .tested = all.tested,
                        .level = options.level};
  for (size_t i = 0; i < partners.size(); ++i) {
    if (partners[i] != nullptr && partners[i]->kind == SeriesKind::kNull) {
      measure_change(*partners[i], judging, 0, all.series[i]);
    }
  }
  find_noise(all);
  for (size_t i = 0; i < partners.size(); ++i) {
    if (partners[i] != nullptr) {
      judge_alone(*partners[i], judging, all.noise_for(all.series[i].series).value_or(0), all.series[i]);
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
  const auto others = std::ranges::count_if(comparison.series, &SeriesComparison::other_context);
  if (others > 0) {
    reasons.push_back(fmt::format("{} measured with other settings and not compared", others));
  }
  if (const auto hashes = comparison.count(Verdict::kNotCompared) - others; hashes > 0) {
    reasons.push_back(fmt::format("{} hashes of other instruction sets or contexts", hashes));
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
