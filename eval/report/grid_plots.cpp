#include "eval/report/grid_plots.h"

#include "base/core/json.h"
#include "eval/ablation/table_metrics.h"
#include "eval/report/curves.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;
using core::Json;

constexpr const char* kFloorMetric = "sliced_wasserstein_distance";
/// Beyond so many decades small values would be one blot on a linear axis.
constexpr double kLogDecades = 1.3;

std::string axis_name(const TableMetric& metric) {
  return fmt::format("{} ({} is better)", metric.name, metric.higher_is_better ? "higher" : "lower");
}

/// "steps = 100" in parts, as the labels of a grid's last axis are.
struct NumberedLabel {
  std::string name;
  double number = 0;
};
std::optional<NumberedLabel> numbered_label(const std::string& label) {
  const size_t at = label.rfind(" = ");
  if (at == std::string::npos) {
    return std::nullopt;
  }
  NumberedLabel parts{label.substr(0, at)};
  const char* end = label.data() + label.size();
  const auto [after, problem] = std::from_chars(label.data() + at + 3, end, parts.number);
  return problem == std::errc() && after == end ? std::optional(parts) : std::nullopt;
}

/// Whether the columns are numbers of one thing, which a line may join.
bool columns_are_numbers(const Json& table) {
  std::optional<std::string> name;
  return std::ranges::all_of(table.at("cells"), [&](const Json& cell) {
    const auto label = numbered_label(cell.at("column").get<std::string>());
    if (label && !name) {
      name = label->name;
    }
    return label && label->name == *name;
  });
}

PlotRow row_of(const Json& cell, const std::string& metric) {
  PlotRow row;
  row.label = place_label(cell.at("row").get<std::string>(), cell.at("column").get<std::string>());
  const auto& result = cell.at("results").at(metric);
  row.value = kNoNumber;
  if (!result.contains("mean")) {
    row.label += ": no number";
    return row;
  }
  const double mean = result["mean"].get<double>(), sd = result["sd"].get<double>();
  row.value = mean;
  row.low = mean - sd;
  row.high = mean + sd;
  for (const auto& value : result.at("values")) {
    if (value.is_number() && result.at("count").get<int64_t>() > 1) {
      row.values.push_back(value.get<double>());
    }
  }
  return row;
}

PlotFigure rows_figure(const Json& table, const TableMetric& metric) {
  const std::string key(metric.key);
  RowPlot plot;
  plot.x_label = axis_name(metric);
  PlotSeries all;
  for (const auto& cell : table.at("cells")) {
    plot.rows.push_back(row_of(cell, key));
    if (std::isfinite(plot.rows.back().value)) {
      all.points.push_back({0, plot.rows.back().value});
    }
  }
  std::string caption = table.at("seeds").size() > 1 ? "Mean over seeds ± standard deviation; rings are seeds"
                                                     : "One seed: nothing is known of the noise";
  if (key == kFloorMetric && table.contains("floor")) {
    plot.line = table["floor"].at(kFloorMetric).get<double>();
    all.points.push_back({0, *plot.line});
    caption += "; green: fresh real points";
  }
  plot.log_x = suits_log_axis({all}, kLogDecades);
  return {std::string(metric.name), caption, plot};
}

PlotFigure lines_figure(const Json& table, const TableMetric& metric) {
  const std::string key(metric.key);
  CurvePlot plot;
  double low = INFINITY, high = 0;
  for (const auto& cell : table.at("cells")) {
    const auto label = cell.at("row").get<std::string>();
    const auto column = numbered_label(cell.at("column").get<std::string>()).value();
    plot.x_label = column.name;
    auto series = std::ranges::find_if(plot.series, [&](const auto& one) { return one.label == label; });
    if (series == plot.series.end()) {
      plot.series.push_back({label, {}, Marks::kLineAndPoints, Interval::kBars});
      series = plot.series.end() - 1;
    }
    const auto& result = cell.at("results").at(key);
    if (result.contains("mean")) {
      const double x = column.number, mean = result["mean"].get<double>();
      const double sd = result["sd"].get<double>();
      series->points.push_back({x, mean, sd > 0 ? mean - sd : kNoNumber, mean + sd});
      low = std::min(low, x);
      high = std::max(high, x);
    }
  }
  for (auto& series : plot.series) {
    std::ranges::sort(series.points, {}, &PlotPoint::x);
  }
  plot.y_label = metric.name;
  plot.x_axis = low > 0 && high >= 8 * low ? XAxis::kLog : XAxis::kLinear;
  plot.log_y = suits_log_axis(plot.series, kLogDecades);
  return {std::string(metric.name),
          fmt::format("{} is better; mean over seeds ± standard deviation",
                      metric.higher_is_better ? "Higher" : "Lower"),
          plot};
}

struct CellCurves {
  std::vector<PlotSeries> series;
  bool thinned = false;  ///< whether one of them is of means of parts
};

/// Over the seeds of each cell that has `file` in its jobs' folders.
template <class Read>
CellCurves curves_of(const GridFolder& folder, const char* file, const Read& read) {
  CellCurves all;
  const auto& grid = folder.grid();
  for (size_t cell = 0; cell < grid.cells.size(); ++cell) {
    std::vector<std::vector<PlotPoint>> curves;
    for (const int64_t seed : grid.seeds) {
      const auto path = folder.job_folder({cell, seed}) / file;
      if (auto curve = file_exists(path) ? read(path) : std::vector<PlotPoint>(); !curve.empty()) {
        curves.push_back(std::move(curve));
      }
    }
    if (!curves.empty()) {
      const auto label = place_label(grid.cells[cell].row, grid.cells[cell].column);
      const auto whole = over_seeds(curves);
      const auto shown = thinned(whole);
      all.thinned = all.thinned || shown.size() < whole.size();
      all.series.push_back({label, shown, Marks::kLine, Interval::kBand});
    }
  }
  return all;
}

std::string curves_caption(const GridFolder& folder, const CellCurves& curves) {
  std::string text =
      folder.grid().seeds.size() > 1 ? "Median over seeds, with the least and the greatest" : "One seed";
  if (curves.thinned) {
    text += "; long curves as means of parts, with the least and the greatest in each";
  }
  return text;
}

}  // namespace

std::vector<PlotFigure> score_figures(const Json& table) {
  const bool lines = columns_are_numbers(table);
  std::vector<PlotFigure> figures;
  for (const auto& key : table.at("metrics")) {
    const auto& metric = table_metric(key.get<std::string>());
    figures.push_back(lines ? lines_figure(table, metric) : rows_figure(table, metric));
  }
  return figures;
}

std::vector<PlotFigure> training_figures(const GridFolder& folder) {
  const auto losses = curves_of(folder, "run/log.jsonl",
                                [](const fs::path& path) { return log_curve(read_log(path), "loss"); });
  CurvePlot loss{"step", "loss", losses.series};
  loss.log_y = suits_log_axis(loss.series, 0.7);
  const auto bound = curves_of(folder, "nll/curve.csv", read_bound_curve);
  CurvePlot terms{"t", folder.grid().is_for_points() ? "nats/dim per step" : "bits/dim per step",
                  bound.series};
  terms.log_y = suits_log_axis(terms.series);
  return {
      {"Loss", curves_caption(folder, losses) + "; cells with other objectives have losses of another scale",
       loss},
      {"The bound's terms along the chain", curves_caption(folder, bound), terms}};
}

}  // namespace ddpm_eval::eval
