#include "eval/ablation/table_text.h"

#include "base/core/error.h"
#include "eval/ablation/grid_table.h"
#include "eval/ablation/table_metrics.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

using core::Json;

constexpr TableMetric kTableMetrics[] = {
    {"inception_score_mean", "IS", true},
    {"classifier_score_mean", "classifier score", true},
    {"frechet_inception_distance", "FID"},
    {"spatial_frechet_inception_distance", "sFID"},
    {"frechet_distance", "Frechet distance"},
    {"sliced_wasserstein_distance", "sliced Wasserstein"},
    {"energy_distance", "energy distance"},
    {"bits_per_dim", "bits/dim"},
    {"nats_per_dim", "nats/dim"},
};

/// Notes in the order in which the table refers to them; equal ones share a number.
class Notes {
 public:
  /// The number of the note, from 1.
  size_t mark(const std::string& text) {
    const auto found = std::find(texts_.begin(), texts_.end(), text);
    const auto number = static_cast<size_t>(1 + (found - texts_.begin()));
    if (found == texts_.end()) {
      texts_.push_back(text);
    }
    return number;
  }
  const std::vector<std::string>& texts() const { return texts_; }

 private:
  std::vector<std::string> texts_;
};

std::string value_text(const Json& value) {
  return value.is_number() ? fmt::format("{:.4g}", value.get<double>()) : value.get<std::string>();
}

std::string divergence_text(const Json& one) {
  const std::string reason = one.at("reason").get<std::string>();
  const auto place = fmt::format("seed {}, first bad step {}", one.at("seed").get<int64_t>(),
                                 one.at("first_step").get<int64_t>());
  if (reason == "weights") {
    return place + ", which left weights that are not finite";
  }
  const char* what = reason == "gradient" ? "gradient norm" : "loss";
  const char* above = reason == "limit" ? " above the limit of [stop]" : "";
  return fmt::format("{}, {} {}{}", place, what, value_text(one.at("value")), above);
}

/// "2 of 10 trainings diverged: seed 3, first bad step 512, loss nan; ..."
std::string divergences_text(const Json& table, const Json& cell) {
  const auto& diverged = cell.at("diverged");
  std::string text = fmt::format("{} of {} trainings diverged: ", diverged.size(), table.at("seeds").size());
  for (size_t i = 0; i < diverged.size(); ++i) {
    text += (i == 0 ? "" : "; ") + divergence_text(diverged[i]);
  }
  return text + ".";
}

std::string seeds_text(const Json& list) {
  std::string text;
  for (const auto& one : list) {
    const auto& seed = one.is_object() ? one.at("seed") : one;
    text += fmt::format("{}{}", text.empty() ? "" : ", ", seed.get<int64_t>());
  }
  return text;
}

/// The marks that belong to a cell whatever its numbers are.
std::vector<size_t> cell_marks(const Json& table, const Json& cell, Notes& notes) {
  std::vector<size_t> marks;
  const size_t diverged = cell.at("diverged").size();
  if (diverged > 0) {
    marks.push_back(notes.mark(divergences_text(table, cell)));
  }
  if (!cell.at("failed").empty()) {
    marks.push_back(notes.mark(fmt::format("Failed for seeds {}: {}", seeds_text(cell.at("failed")),
                                           cell.at("failed")[0].at("message").get<std::string>())));
  }
  if (!cell.at("missing").empty()) {
    marks.push_back(notes.mark(fmt::format("Not run yet for seeds {}.", seeds_text(cell.at("missing")))));
  }
  const bool complete = cell.at("failed").empty() && cell.at("missing").empty();
  if (cell.at("unstable").get<bool>() && complete) {
    marks.push_back(notes.mark(diverged == 0
                                   ? "Published as a cell that is unstable to train; here every seed trained."
                                   : "Published as a cell that is unstable to train."));
  } else if (!cell.at("unstable").get<bool>() && !cell.at("published").empty() && diverged > 0) {
    marks.push_back(notes.mark("Published as a cell that trains."));
  }
  if (!cell.at("not_comparable").get<std::string>().empty()) {
    marks.push_back(notes.mark("The published numbers are not set beside these: " +
                               cell.at("not_comparable").get<std::string>()));
  }
  return marks;
}

TextCell mean_cell(const Json& cell, const std::string& metric, Notes& notes) {
  const auto& result = cell.at("results").at(metric);
  TextCell mean{kDash};
  if (result.at("count").get<int64_t>() > 0) {
    mean.text = with_deviation(result.at("mean").get<double>(), result.at("sd").get<double>());
    if (result.contains("difference") && result["difference"].at("significant").get<bool>()) {
      mean.text += "*";
    }
  }
  Json without = Json::array();
  std::string message;
  for (const auto& problem : cell.at("problems")) {
    if (problem.at("metric") == metric) {
      message = message.empty() ? problem.at("message").get<std::string>() : message;
      without.push_back(problem.at("seed"));
    }
  }
  if (!without.empty()) {
    mean.marks.push_back(notes.mark(fmt::format("No number for seeds {}: {}", seeds_text(without), message)));
  }
  return mean;
}

std::string difference_text(const Json& cell, const std::string& metric, const std::string& baseline) {
  if (cell.at("name") == baseline) {
    return "baseline";
  }
  const auto& result = cell.at("results").at(metric);
  if (!result.contains("difference")) {
    return kDash;
  }
  const auto& difference = result["difference"];
  const double mean = difference.at("mean").get<double>();
  const auto text =
      with_deviation(mean, difference.contains("error") ? difference["error"].get<double>() : 0);
  const bool shows_digits = text.substr(0, text.find(' ')).find_first_of("123456789") != std::string::npos;
  return (mean > 0 && shows_digits ? "+" : "") + text;
}

std::string header_of(const TableMetric& metric) {
  return fmt::format("{} {}", metric.name, metric.higher_is_better ? "↑" : "↓");
}

bool has_published(const Json& table, const std::string& metric) {
  return std::ranges::any_of(table.at("cells"), [&](const Json& cell) {
    return cell.at("not_comparable").get<std::string>().empty() && cell.at("published").contains(metric);
  });
}

/// One line a cell, and for each metric its mean, the difference to the baseline and what was published.
TextTable list_table(const Json& table, Notes& notes) {
  TextTable text;
  text.head = {"cell"};
  const auto baseline = table.at("baseline").get<std::string>();
  const bool differences = table.at("cells").size() > 1;
  for (const auto& key : table.at("metrics")) {
    const auto& metric = table_metric(key.get<std::string>());
    text.head.push_back(header_of(metric));
    if (differences) {
      text.head.emplace_back("difference");
    }
    if (has_published(table, key)) {
      text.head.push_back(fmt::format("{} published", metric.name));
    }
  }
  for (const auto& cell : table.at("cells")) {
    std::vector<TextCell> row = {{cell.at("row").get<std::string>(), cell_marks(table, cell, notes)}};
    for (const auto& key : table.at("metrics")) {
      const auto metric = key.get<std::string>();
      row.push_back(mean_cell(cell, metric, notes));
      if (differences) {
        row.push_back({difference_text(cell, metric, baseline)});
      }
      if (has_published(table, metric)) {
        row.push_back({published_text(cell, metric)});
      }
    }
    text.rows.push_back(std::move(row));
  }
  return text;
}

std::vector<std::string> labels(const Json& table, const char* which) {
  std::vector<std::string> found;
  for (const auto& cell : table.at("cells")) {
    const auto label = cell.at(which).get<std::string>();
    if (std::find(found.begin(), found.end(), label) == found.end()) {
      found.push_back(label);
    }
  }
  return found;
}

TextTable matrix_table(const Json& table, const std::string& key, Notes& notes) {
  TextTable text{header_of(table_metric(key)), {""}, {}};
  const auto columns = labels(table, "column");
  text.head.insert(text.head.end(), columns.begin(), columns.end());
  for (const auto& row_label : labels(table, "row")) {
    std::vector<TextCell> row = {{row_label}};
    for (const auto& column : columns) {
      const auto cell = std::ranges::find_if(table.at("cells"), [&](const Json& one) {
        return one.at("row") == row_label && one.at("column") == column;
      });
      row.emplace_back();
      if (cell != table.at("cells").end()) {
        row.back() = mean_cell(*cell, key, notes);
        const auto marks = cell_marks(table, *cell, notes);
        row.back().marks.insert(row.back().marks.end(), marks.begin(), marks.end());
      }
    }
    text.rows.push_back(std::move(row));
  }
  return text;
}

bool is_matrix(const Json& table) {
  return std::ranges::any_of(table.at("cells"),
                             [](const Json& cell) { return !cell.at("column").get<std::string>().empty(); });
}

/// Comparisons whose pairs are too few for the test to reach the level.
int64_t unstated_comparisons(const Json& table) {
  int64_t count = 0;
  for (const auto& cell : table.at("cells")) {
    for (const auto& [metric, result] : cell.at("results").items()) {
      count += result.contains("difference") && !result["difference"].at("stated").get<bool>() ? 1 : 0;
    }
  }
  return count;
}

/// On the stars, or why there are none. A pair is a seed for which cell and baseline have a number; where
/// some have none, pairs are fewer than seeds.
std::string significance_text(const Json& table, const std::string& baseline) {
  const auto& significance = table.at("significance");
  const auto comparisons = significance.at("comparisons").get<int64_t>();
  const auto needed = significance.at("seeds_needed").get<int64_t>();
  if (significance.at("stated").get<bool>()) {
    auto text = fmt::format(
        "* differs from the baseline ({}): p < 0.05 in a two-sided paired sign-flip test over seeds, by "
        "Holm's "
        "correction over the table's {} comparisons.",
        baseline, comparisons);
    if (const auto unstated = unstated_comparisons(table); unstated > 0) {
      text += fmt::format(" Of {} of them it is not stated, as fewer than {} seeds have both numbers.",
                          unstated, needed);
    }
    return text;
  }
  const auto seeds = table.at("seeds").size();
  const auto pairs = significance.at("pairs").get<size_t>();
  const auto with = pairs == seeds
                        ? fmt::format("{} seed{}", seeds, seeds > 1 ? "s" : "")
                        : fmt::format("at most {} of {} seeds that have both numbers", pairs, seeds);
  return fmt::format(
      "Significance is not stated: with {} the smallest p of a paired sign-flip test is {:.3g} by Holm's "
      "correction over the table's {} comparisons; {} {} would do.",
      with, significance.at("smallest_p").get<double>(), comparisons, needed,
      pairs == seeds ? "seeds" : "such seeds");
}

/// What has to be said of the whole table.
std::vector<std::string> remarks(const Json& table) {
  std::vector<std::string> lines;
  const auto seeds = table.at("seeds").size();
  const auto& score = table.at("score");
  lines.push_back(fmt::format("{} over {} seed{}; {} training steps each; {} samples against {}.",
                              seeds > 1 ? "Mean ± standard deviation" : "One value", seeds,
                              seeds > 1 ? "s" : "", table.at("budget").at("steps").get<int64_t>(),
                              score.at("num").get<int64_t>(), score.at("real").get<std::string>()));
  const auto baseline = std::ranges::find_if(
      table.at("cells"), [&](const Json& cell) { return cell.at("name") == table.at("baseline"); });
  const auto label =
      place_label(baseline->at("row").get<std::string>(), baseline->at("column").get<std::string>());
  const auto& significance = table.at("significance");
  if (significance.at("comparisons").get<int64_t>() > 0) {
    if (!is_matrix(table)) {
      lines.push_back(
          fmt::format("Difference: paired by seed, to the baseline ({}), ± its standard error.", label));
    }
    lines.push_back(significance_text(table, label));
  }
  if (table.contains("floor")) {
    lines.push_back(fmt::format(
        "Fresh real points against the same reference: sliced Wasserstein {:.4g} (median of {} draws).",
        table["floor"].at("sliced_wasserstein_distance").get<double>(),
        table["floor"].at("draws").get<int64_t>()));
  }
  if (const auto source = table.at("source").get<std::string>(); !source.empty()) {
    lines.push_back("Published numbers: " + source + ".");
  }
  for (const auto& note : table.at("notes")) {
    lines.push_back(note.get<std::string>());
  }
  return lines;
}

}  // namespace

std::span<const TableMetric> table_metrics() { return kTableMetrics; }

const TableMetric& table_metric(std::string_view key) {
  const auto* found =
      std::ranges::find_if(kTableMetrics, [&](const TableMetric& one) { return one.key == key; });
  DDPM_CHECK(found != std::end(kTableMetrics), "{} is no metric of a table", key);
  return *found;
}

std::string with_deviation(double mean, double sd) {
  if (!(sd > 1e-12 * std::abs(mean))) {  // none, or rounding alone
    return fmt::format("{:.5g}", mean);
  }
  // Two digits of the deviation as it is once rounded: 0.0996 is 0.10, not 0.100.
  const auto rounded = std::stod(fmt::format("{:.1e}", sd));
  const int decimals = 1 - static_cast<int>(std::floor(std::log10(rounded)));
  const int shown = std::max(0, decimals);
  auto text = fmt::format("{:.{}f}", mean, shown);
  if (text.starts_with('-') && text.find_first_of("123456789") == std::string::npos) {
    text.erase(0, 1);  // no -0.00
  }
  return fmt::format("{} ± {:.{}f}", text, sd, shown);
}

std::vector<std::vector<std::string>> printed_rows(const TextTable& table) {
  std::vector<std::vector<std::string>> printed = {table.head};
  for (const auto& row : table.rows) {
    printed.emplace_back();
    for (const auto& [text, marks] : row) {
      printed.back().push_back(text);
      for (const size_t mark : marks) {
        printed.back().back() += fmt::format(" [{}]", mark);
      }
    }
  }
  return printed;
}

std::string published_text(const Json& cell, const std::string& metric) {
  const auto& published = cell.at("published");
  const bool there = cell.at("not_comparable").get<std::string>().empty() && published.contains(metric);
  return there ? published.at(metric).get<std::string>() : kDash;
}

TableText table_text(const Json& table) {
  Notes notes;
  TableText text;
  if (is_matrix(table)) {
    for (const auto& key : table.at("metrics")) {
      text.tables.push_back(matrix_table(table, key, notes));
    }
  } else {
    text.tables.push_back(list_table(table, notes));
  }
  text.remarks = remarks(table);
  text.notes = notes.texts();
  return text;
}

}  // namespace ddpm_eval::eval
