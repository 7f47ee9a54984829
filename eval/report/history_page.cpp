#include "eval/report/history.h"
#include "eval/report/page.h"
#include "eval/report/report.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <unordered_map>

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
  std::unordered_map<std::string, size_t> places;
  for (const auto& entry : entries) {
    for (const auto& value : entry.values) {
      const auto [place, is_new] = places.try_emplace(value.name, all.size());
      if (is_new) {
        all.push_back({value.name, {}});
      }
      all[place->second].list.push_back({&entry, &value});
    }
  }
  return all;
}

/// Of many series those of one program or kind are a part of the page: what stands before ": " in their
/// names.
struct SeriesGroup {
  std::string title;
  std::vector<MeasuredSeries> series;
};

/// In the order in which they appear; those without a name of their group are the last.
std::vector<SeriesGroup> groups_of(const std::vector<MeasuredSeries>& all) {
  std::vector<SeriesGroup> groups;
  SeriesGroup others{"Others", {}};
  for (const auto& series : all) {
    const auto colon = series.name.find(": ");
    if (colon == std::string::npos || colon == 0) {
      others.series.push_back(series);
      continue;
    }
    const auto title = series.name.substr(0, colon);
    auto group = std::ranges::find(groups, title, &SeriesGroup::title);
    if (group == groups.end()) {
      groups.push_back({title, {}});
      group = groups.end() - 1;
    }
    group->series.push_back(series);
  }
  if (!others.series.empty()) {
    groups.push_back(std::move(others));
  }
  return groups;
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

enum class Change { kFirst, kNone, kBetter, kWorse };

/// Since the measurement before in the same context.
Change change_of(const MeasuredSeries& series) {
  const auto* before = series.before();
  if (before == nullptr) {
    return Change::kFirst;
  }
  const auto& now = series.latest();
  if (now.low <= before->high && now.high >= before->low) {
    return Change::kNone;
  }
  return (now.median > before->median) == now.higher_is_better ? Change::kBetter : Change::kWorse;
}

/// In words and not by colour alone.
Html change_text(const MeasuredSeries& series) {
  const auto change = change_of(series);
  if (change == Change::kFirst) {
    return text_piece("first of its context");
  }
  const double before = series.before()->median;
  const auto percent =
      before == 0 ? std::string()
                  : fmt::format("{:+.1f} %", 100 * (series.latest().median - before) / std::abs(before));
  if (change == Change::kNone) {
    return text_piece(percent + " within noise");
  }
  const bool better = change == Change::kBetter;
  return element("span", {{"class", better ? "good" : "bad"}}, percent + (better ? " better" : " worse"));
}

/// `last` is the last line of the history: a series that it lacks stands where it stood before.
PageTable latest_table(const std::string& caption, const std::vector<MeasuredSeries>& all,
                       const HistoryEntry& last) {
  PageTable table{caption,
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
         text_piece(before == nullptr ? "–" : four_digits(before->median)), change_text(series),
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

/// What differs in the last line, for a reader who has no time for the rest.
Html changes_piece(const std::vector<MeasuredSeries>& all, const HistoryEntry& last) {
  std::vector<MeasuredSeries> changed;
  for (const auto change : {Change::kWorse, Change::kBetter}) {
    std::ranges::copy_if(all, std::back_inserter(changed), [&](const auto& one) {
      return one.list.back().entry == &last && change_of(one) == change;
    });
  }
  if (changed.empty()) {
    return element("p", {},
                   "No series has left its noise since the measurement before it in the same context.");
  }
  return table_element(latest_table("Changed beyond the noise since the measurement before", changed, last));
}

std::vector<Html> draw_series(Page& page, const std::vector<MeasuredSeries>& all,
                              const std::vector<std::string>& contexts) {
  std::vector<PlotFigure> figures;
  for (const auto& series : all) {
    figures.push_back(figure_of(series, contexts));
  }
  return page.draw(figures);
}

/// As many series as one table and one row of plots may be of.
constexpr size_t kMostInOnePart = 20;

}  // namespace

ReportPage history_page(const fs::path& path, const fs::path& target) {
  const auto entries = read_history(path);
  const auto all = series_of(entries);
  const auto contexts = contexts_of(entries);
  Page page("History of measurements", fs::weakly_canonical(path).filename().string(), target);
  page.introduce(
      element("p", {{"class", "lede"}},
              entries.size() == 1
                  ? fmt::format("1 measurement of {} series, of {}; commit {}.", all.size(),
                                entries.front().time_text, entries.front().commit)
                  : fmt::format("{} measurements of {} series, from {} to {}; the last one of commit {}.",
                                entries.size(), all.size(), entries.front().time_text,
                                entries.back().time_text, entries.back().commit)));
  if (contexts.size() > 1) {
    page.introduce(element(
        "p", {{"class", "soft"}},
        "Numbers of different contexts (processor, threads, build and the like) are not compared: each "
        "context has a line of its own."));
  }
  const auto& last = entries.back();
  if (all.size() <= kMostInOnePart) {
    page.add("Latest",
             all.empty() ? Html() : table_element(latest_table("Each series where it stands", all, last)));
    page.add("Over time", figures_element(draw_series(page, all, contexts)));
  } else {
    page.add("Changes", changes_piece(all, last));
    for (const auto& [title, series] : groups_of(all)) {
      auto part = table_element(latest_table(title + ": each series where it stands", series, last));
      page.add(title, part.add(figures_element(draw_series(page, series, contexts))));
    }
  }
  page.add("Measurements",
           details_element(fmt::format("All {} lines", entries.size()), table_element(lines_table(entries))));
  return {page.html(), page.lacks_plots()};
}

}  // namespace ddpm_eval::eval
