#include "eval/report/history.h"
#include "eval/report/page.h"
#include "eval/report/report.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;

/// One value of one line.
struct Measured {
  const HistoryEntry* entry;
  const HistoryValue* value;
};

struct MeasuredSeries {
  std::string name;
  std::vector<Measured> list;  ///< in the order of time

  const HistoryValue& latest() const { return *list.back().value; }
  /// The one before the latest in the same context.
  const HistoryValue* before() const {
    for (auto it = list.rbegin() + 1; it != list.rend(); ++it) {
      if (it->entry->context == list.back().entry->context) {
        return it->value;
      }
    }
    return nullptr;
  }
};

/// In the order in which the names appear.
std::vector<MeasuredSeries> series_of(const std::vector<HistoryEntry>& entries) {
  std::vector<MeasuredSeries> all;
  for (const auto& entry : entries) {
    for (const auto& value : entry.values) {
      auto found = std::ranges::find_if(all, [&](const auto& one) { return one.name == value.name; });
      if (found == all.end()) {
        all.push_back({value.name, {}});
        found = all.end() - 1;
      }
      found->list.push_back({&entry, &value});
    }
  }
  return all;
}

std::vector<std::string> contexts_of(const std::vector<HistoryEntry>& entries) {
  std::vector<std::string> contexts;
  for (const auto& entry : entries) {
    if (std::ranges::find(contexts, entry.context) == contexts.end()) {
      contexts.push_back(entry.context);
    }
  }
  return contexts;
}

std::string four_digits(double value) { return fmt::format("{:.4g}", value); }

/// What has become of a series since the measurement before, in words and not by colour alone.
Html change_of(const MeasuredSeries& series) {
  const auto* before = series.before();
  if (before == nullptr) {
    return text_piece("first of its context");
  }
  const auto& now = series.latest();
  const double change = now.median - before->median;
  const auto percent =
      before->median == 0 ? std::string() : fmt::format("{:+.1f} %", 100 * change / std::abs(before->median));
  const bool apart = now.low > before->high || now.high < before->low;
  if (!apart) {
    return text_piece(percent + " within noise");
  }
  const bool better = (now.median > before->median) == now.higher_is_better;
  return element("span", {{"class", better ? "good" : "bad"}}, percent + (better ? " better" : " worse"));
}

/// `last` is the last line of the history: a series that it lacks stands where it stood before.
PageTable latest_table(const std::vector<MeasuredSeries>& all, const HistoryEntry& last) {
  PageTable table{"Each series where it stands",
                  {"series", "unit", "better", "latest", "noise", "n", "before", "change", "measured"},
                  {},
                  {1, 2, 7, 8}};
  for (const auto& series : all) {
    const auto& now = series.latest();
    const auto* before = series.before();
    const auto* entry = series.list.back().entry;
    table.rows.push_back(
        {text_piece(series.name), text_piece(now.unit),
         text_piece(now.higher_is_better ? "↑ higher" : "↓ lower"), text_piece(four_digits(now.median)),
         text_piece(fmt::format("{} … {}", four_digits(now.low), four_digits(now.high))),
         text_piece(fmt::format("{}", now.count)),
         text_piece(before == nullptr ? "–" : four_digits(before->median)), change_of(series),
         text_piece(entry->time_text + (entry == &last ? "" : ", not since"))});
  }
  return table;
}

PlotFigure figure_of(const MeasuredSeries& series, const std::vector<std::string>& contexts) {
  const auto& now = series.latest();
  CurvePlot plot;
  plot.y_label = now.unit;
  plot.x_axis = XAxis::kTime;
  for (const auto& context : contexts) {
    PlotSeries one;
    one.label = contexts.size() > 1 ? context : "";
    one.marks = Marks::kLineAndPoints;
    for (const auto& [entry, value] : series.list) {
      if (entry->context == context) {
        one.points.push_back({static_cast<double>(entry->time), value->median, value->low, value->high});
      }
    }
    one.interval = one.points.size() > 1 ? Interval::kBand : Interval::kBars;
    plot.series.push_back(std::move(one));
  }
  return {series.name,
          fmt::format("{} is better; median with its noise, low to high",
                      now.higher_is_better ? "Higher" : "Lower"),
          std::move(plot)};
}

PageTable lines_table(const std::vector<HistoryEntry>& entries) {
  PageTable table{"Every measurement, the latest first", {"time", "commit", "series", "context"}, {}, {1, 3}};
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
    table.rows.push_back({text_piece(entry->time_text), text_piece(entry->commit),
                          text_piece(fmt::format("{}", entry->values.size())), text_piece(entry->context)});
  }
  return table;
}

}  // namespace

ReportPage history_page(const fs::path& path, const fs::path& target) {
  const auto entries = read_history(path);
  const auto all = series_of(entries);
  const auto contexts = contexts_of(entries);
  Page page("History of measurements", fs::weakly_canonical(path).filename().string(), target);
  page.introduce(element(
      "p", {{"class", "lede"}},
      fmt::format("{} measurements of {} series, from {} to {}; the last one of commit {}.", entries.size(),
                  all.size(), entries.front().time_text, entries.back().time_text, entries.back().commit)));
  if (contexts.size() > 1) {
    page.introduce(element("p", {{"class", "soft"}},
                           "Numbers of different contexts (processor, threads, build) are not compared: each "
                           "context has a line of its own."));
  }
  page.add("Latest", all.empty() ? Html() : table_element(latest_table(all, entries.back())));
  std::vector<PlotFigure> figures;
  for (const auto& series : all) {
    figures.push_back(figure_of(series, contexts));
  }
  page.add("Over time", figures_element(page.draw(figures)));
  page.add("Measurements",
           details_element(fmt::format("All {} lines", entries.size()), table_element(lines_table(entries))));
  return {page.html(), page.lacks_plots()};
}

}  // namespace ddpm_eval::eval
