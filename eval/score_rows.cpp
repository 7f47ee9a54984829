#include "eval/score_rows.h"

#include "eval/ablation/grid_table.h"
#include "eval/csv.h"
#include "eval/latex.h"
#include "eval/markdown.h"

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

std::string count_or_dash(std::optional<int64_t> count) {
  return count ? fmt::format("{}", *count) : std::string("–");
}

std::string full_number(std::optional<double> number) {
  return number ? fmt::format("{}", *number) : std::string();
}

std::string full_count(std::optional<int64_t> count) {
  return count ? fmt::format("{}", *count) : std::string();
}

/// A column: its heading, and a text for each set.
class Columns {
 public:
  explicit Columns(const ScoreRecord& record) : record_(record), rows_(1 + record.sets.size()) {}

  template <class TextOfSet>
  void add(const std::string& heading, const TextOfSet& text_of) {
    rows_[0].push_back(heading);
    for (size_t set = 0; set < record_.sets.size(); ++set) {
      rows_[1 + set].push_back(text_of(set));
    }
  }

  const std::vector<std::vector<std::string>>& rows() const { return rows_; }

 private:
  const ScoreRecord& record_;
  std::vector<std::vector<std::string>> rows_;
};

/// An interval of the samples' score, for which the other sets have a dash.
void add_interval(const std::string& heading, const std::optional<ScoreInterval>& interval,
                  Columns& columns) {
  if (interval) {
    columns.add(heading, [&](size_t set) {
      return set == 0 ? fmt::format("{:.4g} to {:.4g}", interval->low, interval->high) : std::string("–");
    });
  }
}

std::vector<std::vector<std::string>> wide_rows(const ScoreRecord& record) {
  Columns columns(record);
  columns.add("images", [&](size_t set) {
    const auto& one = record.sets[set];
    return set == 0 ? one.source : one.role + ": " + one.source;
  });
  columns.add("N", [&](size_t set) { return count_or_dash(record.sets[set].count); });
  if (record.repeats) {
    columns.add("samples", [&](size_t set) { return samples_text(record, set); });
  }
  if (!record.reference.empty()) {
    columns.add("against", [&](size_t) { return record.reference; });
    columns.add("N of these", [&](size_t) { return count_or_dash(record.reference_count); });
  }
  for (const auto& key : record.keys) {
    columns.add(score_heading(record, key), [&](size_t set) { return score_text(record, set, key); });
    if (is_kernel_distance(key)) {
      columns.add(metric_name(key) + " × 1000",
                  [&](size_t set) { return score_text(record, set, key, 1000); });
    }
    if (const auto* uncertainty = record.uncertainty_of(key)) {
      const auto what = fmt::format("{}, {:.4g} %", metric_name(key), 100 * uncertainty->level);
      add_interval(what + " at this N", uncertainty->at_count, columns);
      add_interval(what + " for N → ∞", uncertainty->at_infinity, columns);
    }
  }
  const auto add_words = [&](const char* heading, const std::string& words) {
    if (!words.empty()) {
      columns.add(heading, [&](size_t) { return words; });
    }
  };
  add_words("features", record.features);
  add_words("preset", record.preset);
  add_words("kernel", record.kernel);
  return columns.rows();
}

std::string csv_rows(const ScoreRecord& record) {
  auto text = csv_line({"role",
                        "source",
                        "count",
                        "reference",
                        "reference_count",
                        "features",
                        "preset",
                        "metric",
                        "value",
                        "spread",
                        "standard_error",
                        "bias",
                        "level",
                        "at_count_low",
                        "at_count_high",
                        "at_infinity_low",
                        "at_infinity_high",
                        "samples",
                        "sd_over_samples",
                        "kernel"});
  for (const auto& set : record.sets) {
    for (const auto& key : record.keys) {
      const auto value = set.metrics.find(key);
      if (value == set.metrics.end()) {
        continue;
      }
      const bool is_samples = &set == &record.sets.front();
      const auto* known = is_samples ? record.uncertainty_of(key) : nullptr;
      const auto uncertainty = known != nullptr ? *known : ScoreUncertainty();
      const auto* repeats = is_samples && record.repeats ? &*record.repeats : nullptr;
      // A mean of the samples' spreads is no spread of theirs.
      const auto spread = repeats == nullptr ? set.metrics.find(spread_key(key)) : set.metrics.end();
      const bool has_interval = uncertainty.at_count || uncertainty.at_infinity;
      const auto low = [](const std::optional<ScoreInterval>& one) {
        return one ? full_number(one->low) : std::string();
      };
      const auto high = [](const std::optional<ScoreInterval>& one) {
        return one ? full_number(one->high) : std::string();
      };
      text += csv_line({set.role,
                        set.source,
                        full_count(set.count),
                        record.reference,
                        full_count(record.reference_count),
                        record.features,
                        record.preset,
                        key,
                        full_number(value->second),
                        spread != set.metrics.end() ? full_number(spread->second) : std::string(),
                        full_number(uncertainty.standard_error),
                        full_number(uncertainty.bias),
                        has_interval ? full_number(uncertainty.level) : std::string(),
                        low(uncertainty.at_count),
                        high(uncertainty.at_count),
                        low(uncertainty.at_infinity),
                        high(uncertainty.at_infinity),
                        repeats != nullptr ? fmt::format("{}", repeats->count) : std::string(),
                        repeats != nullptr ? full_number(repeats->deviations.at(key)) : std::string(),
                        is_kernel_distance(key) ? record.kernel : std::string()});
    }
  }
  return text;
}

}  // namespace

const std::vector<std::pair<std::string, TableFormat>>& table_format_words() {
  static const std::vector<std::pair<std::string, TableFormat>> kWords = {
      {"markdown", TableFormat::kMarkdown}, {"csv", TableFormat::kCsv}, {"latex", TableFormat::kLatex}};
  return kWords;
}

std::string score_rows(const ScoreRecord& record, TableFormat format) {
  switch (format) {
    case TableFormat::kMarkdown:
      return markdown_table(wide_rows(record));
    case TableFormat::kLatex:
      return "% needs \\usepackage{booktabs}\n" + latex_tabular(wide_rows(record));
    case TableFormat::kCsv:
      return csv_rows(record);
  }
  return {};
}

}  // namespace ddpm_eval::eval
