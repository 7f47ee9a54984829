#include "eval/compare/comparison_text.h"

#include "base/core/text.h"
#include "eval/ablation/table_text.h"
#include "eval/markdown.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

using core::Json;
using Rows = std::vector<std::vector<std::string>>;

bool has_repetitions(const SeriesComparison& one) { return one.base_count > 0 && one.now_count > 0; }

bool is_measured(const SeriesComparison& one) {
  return has_repetitions(one) || (one.series.kind == SeriesKind::kQuality &&
                                  one.verdict != Verdict::kOnlyInBase && one.verdict != Verdict::kOnlyInNew);
}

/// new / baseline, from what is worse.
core::Estimate ratio_of(const SeriesComparison& one) {
  const auto& change = one.worsening;
  if (one.series.higher_is_better) {
    return {std::exp(-change.value), std::exp(-change.high), std::exp(-change.low)};
  }
  return {std::exp(change.value), std::exp(change.low), std::exp(change.high)};
}

bool has_interval(const SeriesComparison& one) { return std::isfinite(one.worsening.low); }

std::string signed_percent(double ratio) { return fmt::format("{:+.1f}", 100 * (ratio - 1)); }

std::string change_text(const SeriesComparison& one) {
  if (one.verdict == Verdict::kNotCompared) {
    return kDash;
  }
  if (one.series.kind == SeriesKind::kQuality) {
    return fmt::format("{:+.3g}", one.now - one.base);
  }
  return signed_percent(ratio_of(one).value) + " %";
}

std::string interval_text(const SeriesComparison& one) {
  if (one.series.kind == SeriesKind::kQuality) {
    const auto& tolerance = one.series.tolerance;
    return "tolerance " + (tolerance.relative ? fmt::format("{:.3g} %", 100 * tolerance.size)
                                              : fmt::format("{:.3g}", tolerance.size));
  }
  const auto ratio = ratio_of(one);
  return has_interval(one) ? fmt::format("{} … {} %", signed_percent(ratio.low), signed_percent(ratio.high))
                           : kDash;
}

std::string p_text(const SeriesComparison& one) {
  if (!has_repetitions(one) || one.series.kind == SeriesKind::kNull) {
    return kDash;
  }
  return fmt::format("{:.2g}", std::min(one.p_worse_holm, one.p_better_holm));
}

const std::vector<std::string> kHead = {"series",        "baseline", "new",    "change",
                                        "95 % interval", "p",        "verdict"};

std::vector<std::string> series_row(const SeriesComparison& one) {
  const auto verdict = verdict_name(one.verdict) + (one.note.empty() ? "" : ": " + one.note);
  if (!is_measured(one)) {
    return {one.series.name, kDash, kDash, kDash, kDash, kDash, verdict};
  }
  const auto value = [&](double number) { return fmt::format("{:.5g} {}", number, one.series.unit); };
  return {one.series.name,    value(one.base), value(one.now), change_text(one),
          interval_text(one), p_text(one),     verdict};
}

/// How the numbers came about, and what has to be said of all of them.
std::vector<std::string> lines_below(const SuiteComparison& comparison) {
  std::vector<std::string> lines;
  const bool in_blocks =
      std::ranges::any_of(comparison.series, [](const auto& one) { return one.blocks > 1; });
  if (comparison.tested > 0) {
    lines.push_back(fmt::format(
        "A change counts from {:.3g} % on and with p < {:.3g}: a rank-sum test{}, one-sided, by Holm's "
        "correction over {} series.",
        100 * comparison.options.threshold, comparison.options.level,
        in_blocks ? " of all repetitions and one within parts of the night" : "", comparison.tested));
  }
  if (comparison.noise) {
    std::vector<std::string> subjects;
    for (const auto& [name, noise] : comparison.noise_by_subject) {
      subjects.push_back(fmt::format("{} {:.1f} %", name, 100 * std::expm1(noise)));
    }
    lines.push_back(fmt::format("Noise, by the null subject{}: {}.", subjects.size() == 1 ? "" : "s",
                                fmt::join(subjects, ", ")));
  }
  lines.insert(lines.end(), comparison.remarks.begin(), comparison.remarks.end());
  if (const auto open = what_stays_open(comparison); !open.empty()) {
    lines.push_back("Stays open: " + open + ".");
  }
  return lines;
}

std::string what_was_compared(const SuiteComparison& comparison) {
  return fmt::format("{} of {} against {} of {}", comparison.now.commit, comparison.now.time,
                     comparison.base.commit, comparison.base.time);
}

/// "+10.0 %", or what has become of a quality number or a hash.
std::string short_change(const SeriesComparison& one) {
  if (one.series.kind == SeriesKind::kHash) {
    return one.note;
  }
  return one.series.kind == SeriesKind::kQuality ? fmt::format("{:.5g} to {:.5g}", one.base, one.now)
                                                 : change_text(one);
}

/// What a reader has to see first: lower is earlier. Verdicts of nothing special have none.
std::optional<int> urgency(const SeriesComparison& one) {
  switch (one.verdict) {
    case Verdict::kWorse:
      return 0;
    case Verdict::kWithinNoise:
      return 1;
    case Verdict::kNotCompared:
      return 2;
    case Verdict::kOnlyInBase:
      return 3;
    case Verdict::kBetter:
      return 4;
    case Verdict::kOnlyInNew:
      return 5;
    case Verdict::kSame:
    case Verdict::kSmall:
    case Verdict::kTooFew:
    case Verdict::kNull:
      return std::nullopt;
  }
  return std::nullopt;
}

/// "36 same, 2 below threshold".
std::string verdict_counts(const std::vector<const SeriesComparison*>& list) {
  std::vector<std::string> parts;
  std::vector<Verdict> counted;
  for (const auto* one : list) {
    if (std::ranges::find(counted, one->verdict) == counted.end()) {
      counted.push_back(one->verdict);
      const auto count = std::ranges::count(list, one->verdict, &SeriesComparison::verdict);
      parts.push_back(fmt::format("{} {}", count, verdict_name(one->verdict)));
    }
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

size_t width_of(const std::string& text) {
  const auto starts = [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; };
  return static_cast<size_t>(std::ranges::count_if(text, starts));
}

Json side_record(const Suite& suite) {
  Json side{{"file", suite.file},
            {"time", suite.time},
            {"commit", suite.commit},
            {"session", suite.session},
            {"context", Json::object()}};
  for (const auto& [key, value] : suite.context) {
    side["context"][key] = value;
  }
  side["context"]["compiler"] = suite.compiler;
  return side;
}

Json series_record(const SeriesComparison& one) {
  Json record{{"name", one.series.name},
              {"kind", kind_name(one.series.kind)},
              {"verdict", verdict_name(one.verdict)}};
  if (!one.note.empty()) {
    record["note"] = one.note;
  }
  if (!is_measured(one)) {
    return record;
  }
  record["unit"] = one.series.unit;
  record["better"] = one.series.higher_is_better ? "higher" : "lower";
  record["base"] = one.base;
  record["new"] = one.now;
  if (!has_repetitions(one)) {
    return record;
  }
  const auto ratio = ratio_of(one);
  record["base_n"] = one.base_count;
  record["new_n"] = one.now_count;
  record["paired"] = one.paired;
  record["blocks"] = one.blocks;
  record["ratio"] = ratio.value;
  if (has_interval(one)) {
    record["ratio_low"] = ratio.low;
    record["ratio_high"] = ratio.high;
  }
  record["p_worse"] = one.p_worse;
  record["p_better"] = one.p_better;
  if (one.series.kind != SeriesKind::kNull) {
    record["p_worse_holm"] = one.p_worse_holm;
    record["p_better_holm"] = one.p_better_holm;
  }
  return record;
}

}  // namespace

std::string comparison_summary(const SuiteComparison& comparison) {
  const auto are = [](int64_t count) { return count == 1 ? "is" : "are"; };
  const auto worse = comparison.count(Verdict::kWorse);
  const auto better = comparison.count(Verdict::kBetter);
  const auto all = comparison.series.size();
  auto text = worse == 0 ? fmt::format("none of {} series is worse", all)
                         : fmt::format("{} of {} series {} worse", worse, all, are(worse));
  return better == 0 ? text : fmt::format("{}, {} {} better", text, better, are(better));
}

std::string what_is_worse(const SuiteComparison& comparison) {
  constexpr size_t kMost = 5;
  std::vector<std::string> names;
  size_t more = 0;
  for (const auto& one : comparison.series) {
    if (one.verdict == Verdict::kWorse && names.size() < kMost) {
      names.push_back(fmt::format("{} ({})", core::printable(one.series.name), short_change(one)));
    } else if (one.verdict == Verdict::kWorse) {
      ++more;
    }
  }
  return fmt::format("{}{}", fmt::join(names, ", "), more == 0 ? "" : fmt::format(" and {} more", more));
}

std::string comparison_table(const SuiteComparison& comparison) {
  Rows rows = {kHead};
  for (const auto& one : comparison.series) {
    rows.push_back(series_row(one));
  }
  std::vector<size_t> widths(kHead.size());
  for (auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      row[i] = core::printable(row[i]);
      widths[i] = std::max(widths[i], width_of(row[i]));
    }
  }
  std::string text;
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string space(widths[i] - width_of(row[i]), ' ');
      const bool last = i + 1 == row.size();
      text += (i == 0 ? row[i] + space : "  " + (last ? row[i] : space + row[i]));
    }
    text += "\n";
  }
  for (const auto& line : lines_below(comparison)) {
    text += core::printable(line) + "\n";
  }
  return text + core::printable(what_was_compared(comparison) + ": " + comparison_summary(comparison)) +
         ".\n";
}

std::string comparison_markdown(const SuiteComparison& comparison) {
  auto summary = comparison_summary(comparison);
  summary[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(summary[0])));
  auto text =
      "### " + markdown_text(summary) + "\n\n" + markdown_text(what_was_compared(comparison)) + "\n\n";
  std::vector<const SeriesComparison*> told;
  std::vector<const SeriesComparison*> folded;
  for (const auto& one : comparison.series) {
    (urgency(one) ? told : folded).push_back(&one);
  }
  std::ranges::stable_sort(told, {}, [](const auto* one) { return urgency(*one); });
  const auto table_of = [](const std::vector<const SeriesComparison*>& list) {
    Rows rows = {kHead};
    for (const auto* one : list) {
      rows.push_back(series_row(*one));
    }
    return markdown_table(rows) + "\n";
  };
  if (!told.empty()) {
    text += table_of(told);
  }
  if (!folded.empty()) {
    text += fmt::format("<details><summary>{} {} series: {}</summary>\n\n{}</details>\n\n",
                        told.empty() ? "All" : "The other", folded.size(), verdict_counts(folded),
                        table_of(folded));
  }
  for (const auto& line : lines_below(comparison)) {
    text += "- " + markdown_text(line) + "\n";
  }
  return text;
}

core::Json comparison_record(const SuiteComparison& comparison) {
  auto record = core::new_record("comparison");
  record["base"] = side_record(comparison.base);
  record["new"] = side_record(comparison.now);
  record["threshold"] = comparison.options.threshold;
  record["level"] = comparison.options.level;
  record["confidence"] = kChangeConfidence;
  record["correction"] = "Holm";
  record["tested"] = comparison.tested;
  if (comparison.noise) {
    record["noise"] = std::expm1(*comparison.noise);
    for (const auto& [name, noise] : comparison.noise_by_subject) {
      record["noise_by_subject"][name] = std::expm1(noise);
    }
  }
  record["worse"] = comparison.count(Verdict::kWorse);
  record["better"] = comparison.count(Verdict::kBetter);
  record["series"] = Json::array();
  for (const auto& one : comparison.series) {
    record["series"].push_back(series_record(one));
  }
  record["remarks"] = comparison.remarks;
  record["open"] = what_stays_open(comparison);
  return record;
}

}  // namespace ddpm_eval::eval
