#include "eval/plot.h"

#include "base/core/error.h"
#include "eval/gnuplot.h"
#include "eval/round_step.h"
#include "eval/svg.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <tuple>

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

constexpr int kPlotWidth = 420, kPlotHeight = 250, kFontSize = 13;
constexpr int kKeyLine = 20;      ///< of the key, in pixels
constexpr int kRowHeight = 38;    ///< of a row with its label above it
constexpr int kSquare = 250;      ///< of a scatter plot with its numbers
constexpr int64_t kDay = 86400;   ///< in seconds
constexpr double kLimit = 1e300;  ///< beyond it gnuplot's own arithmetic overflows

/// Dashes and shapes tell series apart where colours do not.
constexpr std::array<int, 4> kDashes = {1, 2, 4, 5};
constexpr std::array<int, 4> kShapes = {7, 5, 9, 13};

std::string colour_text(const std::array<int, 3>& colour) {
  return fmt::format("rgb '#{:02x}{:02x}{:02x}'", colour[0], colour[1], colour[2]);
}

bool is_drawable(double value, bool log) { return std::abs(value) < kLimit && (!log || value > 0); }

/// Of the point, its interval aside.
bool is_drawable(const PlotPoint& point, const CurvePlot& plot) {
  return is_drawable(point.x, plot.x_axis == XAxis::kLog) && is_drawable(point.y, plot.log_y);
}

/// An interval that reaches below zero ends where a logarithmic axis does.
struct Span {
  double low, high;
};
Span drawable_span(double value, double low, double high, bool log) {
  const bool there = std::abs(low) < kLimit && is_drawable(high, log);
  return there ? Span{log && low <= 0 ? value / 1000 : low, high} : Span{value, value};
}

/// A datablock's lines, which gnuplot knows by `name`.
std::string datablock(const std::string& name, const std::string& lines) {
  return fmt::format("${} << END\n{}END\n", name, lines);
}

std::string columns_of(const PlotSeries& series, const CurvePlot& plot) {
  std::string lines;
  for (const auto& point : series.points) {
    if (is_drawable(point, plot)) {
      const auto [low, high] = drawable_span(point.y, point.low, point.high, plot.log_y);
      lines += fmt::format("{} {} {} {}\n", point.x, point.y, low, high);
    }
  }
  return lines;
}

/// What all plots begin with.
std::string opening(int height, Paper paper, int width = kPlotWidth) {
  return fmt::format(
      "reset\nset encoding utf8\n"
      "set terminal svg size {},{} dynamic rounded noenhanced font 'sans-serif,{}' {}\n"
      "set border 3 linecolor {}\nset tics nomirror scale 0.5 textcolor rgb 'black'\nset format '%g'\nset "
      "grid linetype 1 "
      "linecolor {} linewidth 0.6\nset bars 0.5\nset tmargin 0.7\nunset key\n",
      width, height, kFontSize, paper == Paper::kWhite ? "background 'white'" : "", colour_text(kAxisInk),
      colour_text(kGridLine));
}

size_t letter_count(const std::string& text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

struct PlotKey {
  std::string command = "unset key\n";
  int height = 0;
};

/// Below the plot, in as many columns as its longest label allows by gnuplot's estimate of a letter's width.
PlotKey key_of(const CurvePlot& plot) {
  size_t count = 0, longest = 1;
  for (const auto& series : plot.series) {
    count += series.label.empty() ? 0 : 1;
    longest = std::max(longest, std::min<size_t>(letter_count(series.label), 60));
  }
  if (count == 0) {
    return {};
  }
  const double column = 0.7 * kFontSize * static_cast<double>(longest) + 70;
  const auto columns = std::clamp<size_t>(static_cast<size_t>(kPlotWidth / column), 1, 4);
  const auto lines = (count + columns - 1) / columns;
  return {fmt::format("set key below vertical maxrows {} Left reverse samplen 2.5 width -2\n", lines),
          static_cast<int>(lines) * kKeyLine + kKeyLine / 2};
}

/// Between the dates that are shown: few, as each takes a sixth of the width.
int64_t seconds_between_dates(double range) {
  const double days = range / 3 / static_cast<double>(kDay);
  return kDay * std::llround(round_step(std::max(days, 1.0)));
}

/// Of what is drawn.
struct XRange {
  double low = kLimit, high = -kLimit;
  void add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

/// The numbers of a linear x axis are at most six, as long ones take that much of the width; gnuplot writes
/// more.
std::string x_tics(const XRange& range) {
  const double rough = (range.high - range.low) / 5;
  if (!(rough > 0) || !(rough < kLimit)) {
    return "";
  }
  return fmt::format("set xtics {}\n", round_step(rough));
}

XRange x_range(const CurvePlot& plot) {
  XRange range;
  for (const auto& series : plot.series) {
    for (const auto& point : series.points) {
      if (is_drawable(point, plot)) {
        range.add(point.x);
      }
    }
  }
  return range;
}

/// From the first to the last moment, with some room.
std::string time_axis(const CurvePlot& plot) {
  const auto [first, last] = x_range(plot);
  const double room = std::max(0.04 * (last - first), kDay / 4.0);
  return fmt::format(
      "set xdata time\nset timefmt '%s'\nset format x '%Y-%m-%d' timedate\nset xtics {}\nset rmargin 5\n"
      "set xrange ['{:.0f}':'{:.0f}']\n",
      seconds_between_dates(last - first), first - room, last + room);
}

/// Linear axes of gnuplot end at numbers of their own; the curves begin and end with the plot.
std::string axes_of(const CurvePlot& plot, bool key) {
  // The empty line keeps the key away from the label.
  std::string text = fmt::format("set xlabel {}{} offset 0,0.6\nset ylabel {}\n", gnuplot_text(plot.x_label),
                                 key && !plot.x_label.empty() ? ".\"\\n\"" : "", gnuplot_text(plot.y_label));
  const bool points =
      std::ranges::any_of(plot.series, [](const PlotSeries& series) { return series.marks != Marks::kLine; });
  if (plot.x_axis == XAxis::kLog) {
    text += "set logscale x\n";
  } else if (plot.x_axis == XAxis::kLinear) {
    text += x_tics(x_range(plot));
  }
  if (plot.log_y) {
    text += "set logscale y\n";
  }
  if (plot.x_axis == XAxis::kTime) {
    return text + time_axis(plot);
  }
  return text + (points ? "set offsets graph 0.04, graph 0.04, 0, 0\n" : "set autoscale xfix\n");
}

std::string curve_script(const CurvePlot& plot, Paper paper) {
  const auto key = key_of(plot);
  std::string text = opening(kPlotHeight + key.height, paper) + key.command + axes_of(plot, key.height > 0);
  std::string bands, lines;
  for (size_t i = 0; i < plot.series.size(); ++i) {
    const auto& series = plot.series[i];
    const auto columns = columns_of(series, plot);
    if (columns.empty()) {
      continue;
    }
    const auto name = fmt::format("series_{}", i);
    text += datablock(name, columns);
    const auto colour = colour_text(kPlotColours[i % kPlotColours.size()]);
    const auto shape = kShapes[i % kShapes.size()];
    const auto title = series.label.empty() ? std::string("notitle") : "title " + gnuplot_text(series.label);
    if (series.interval == Interval::kBand) {
      bands += fmt::format(
          ", ${} using 1:3:4 with filledcurves fillcolor {} fillstyle transparent solid 0.18 noborder "
          "notitle",
          name, colour);
    } else if (series.interval == Interval::kBars) {
      bands +=
          fmt::format(", ${} using 1:2:3:4 with yerrorbars linecolor {} linewidth 1.2 pointtype -1 notitle",
                      name, colour);
    }
    const char* style = series.marks == Marks::kLine     ? "lines"
                        : series.marks == Marks::kPoints ? "points"
                                                         : "linespoints";
    lines += fmt::format(", ${} using 1:2 with {} linecolor {}", name, style, colour);
    if (series.marks != Marks::kPoints) {
      lines += fmt::format(" linewidth 1.8 dashtype {}", kDashes[i / kPlotColours.size() % kDashes.size()]);
    }
    if (series.marks != Marks::kLine) {
      lines += fmt::format(" pointtype {} pointsize 0.5", shape);
    }
    lines += " " + title;
  }
  return text + "plot " + (bands + lines).substr(2) + "\n";
}

std::string row_script(const RowPlot& plot, Paper paper) {
  const auto count = static_cast<int>(plot.rows.size());
  std::string text = opening(count * kRowHeight + 56, paper);
  text += fmt::format(
      "set border 1\nset xlabel {} offset 0,0.6\nunset ytics\nset grid noytics\nset yrange [{}:-0.8]\nset "
      "lmargin 2\n"
      "set rmargin 3\n",
      gnuplot_text(plot.x_label), count - 0.5);
  XRange range;
  std::string means, values;
  for (int row = 0; row < count; ++row) {
    const auto& one = plot.rows[static_cast<size_t>(row)];
    text +=
        fmt::format("set label {} at graph 0, first {} left front\n", gnuplot_text(one.label), row - 0.42);
    if (!is_drawable(one.value, plot.log_x)) {
      continue;
    }
    const auto [low, high] = drawable_span(one.value, one.low, one.high, plot.log_x);
    range.add(low);
    range.add(high);
    means += fmt::format("{} {} {} {}\n", one.value, row, low, high);
    for (const double value : one.values) {
      if (is_drawable(value, plot.log_x)) {
        range.add(value);
        values += fmt::format("{} {}\n", value, row);
      }
    }
  }
  std::string floor;
  for (int row = 0; plot.line && is_drawable(*plot.line, plot.log_x) && row < count; ++row) {
    floor +=
        fmt::format("{0} {1}\n{0} {2}\n\n", *plot.line, row - 0.2, row + 0.25);  // not through the labels
  }
  text += plot.log_x ? std::string("set logscale x\n") : x_tics(range);
  text += datablock("means", means);
  std::string draw;
  if (!floor.empty()) {
    text += datablock("floor", floor);
    draw +=
        fmt::format(", $floor using 1:2 with lines linecolor {} linewidth 2.5", colour_text(kPlotColours[2]));
  }
  draw += fmt::format(
      ", $means using 1:2:3:4 with xerrorbars linecolor {} linewidth 1.8 pointtype 7 pointsize 0.6",
      colour_text(kPlotColours[0]));
  if (!values.empty()) {
    text += datablock("values", values);
    draw += fmt::format(", $values using 1:2 with points linecolor {} pointtype 6 pointsize 0.5",
                        colour_text(kPlotColours[1]));
  }
  return text + "set offsets graph 0.02, graph 0.02, 0, 0\nplot " + draw.substr(2) + "\n";
}

/// Dots as lines too short to be seen as such, whose ends are round: a third of the bytes of gnuplot's own.
std::string dots_of(const std::vector<std::array<double, 2>>& points, const ScatterPlot& plot) {
  const double length = 2 * plot.half / kSquare / 20;
  std::string lines;
  for (const auto& [x, y] : points) {
    if (std::abs(x - plot.x) < plot.half && std::abs(y - plot.y) < plot.half) {
      lines += fmt::format("{0} {2}\n{1} {2}\n\n", x, x + length, y);
    }
  }
  return lines;
}

std::string scatter_script(const ScatterPlot& plot, Paper paper) {
  std::string text = opening(kSquare, paper, kSquare);
  text += fmt::format(
      "set xrange [{}:{}]\nset yrange [{}:{}]\nset size square\nset border 15\nset lmargin 4\nset rmargin 1\n"
      "set tmargin 1\nset bmargin 2\n",
      plot.x - plot.half, plot.x + plot.half, plot.y - plot.half, plot.y + plot.half);
  std::string draw;
  for (const auto& [name, points, colour, size] :
       {std::tuple("behind", &plot.behind, &kBehindInk, 1.8),
        std::tuple("points", &plot.points, &kPlotColours[0], 2.2)}) {
    const auto lines = dots_of(*points, plot);
    if (!lines.empty()) {
      text += datablock(name, lines);
      draw += fmt::format(", ${} using 1:2 with lines linecolor {} linewidth {}", name, colour_text(*colour),
                          size);
    }
  }
  return text + "plot " + draw.substr(2) + "\n";
}

struct HasPoints {
  bool operator()(const CurvePlot& plot) const {
    return std::ranges::any_of(plot.series, [&](const PlotSeries& series) {
      return std::ranges::any_of(series.points,
                                 [&](const PlotPoint& point) { return is_drawable(point, plot); });
    });
  }
  bool operator()(const RowPlot& plot) const {
    return std::ranges::any_of(plot.rows,
                               [&](const PlotRow& row) { return is_drawable(row.value, plot.log_x); });
  }
  bool operator()(const ScatterPlot& plot) const {
    return !dots_of(plot.points, plot).empty() || !dots_of(plot.behind, plot).empty();
  }
};

struct LeftOffLogAxes {
  size_t operator()(const CurvePlot& plot) const {
    size_t count = 0;
    for (const auto& series : plot.series) {
      count += static_cast<size_t>(std::ranges::count_if(series.points, [&](const PlotPoint& point) {
        return std::abs(point.x) < kLimit && std::abs(point.y) < kLimit && !is_drawable(point, plot);
      }));
    }
    return count;
  }
  size_t operator()(const RowPlot& plot) const {
    return static_cast<size_t>(std::ranges::count_if(plot.rows, [&](const PlotRow& row) {
      return std::abs(row.value) < kLimit && !is_drawable(row.value, plot.log_x);
    }));
  }
  size_t operator()(const ScatterPlot& /*plot*/) const { return 0; }
};

struct ScriptOf {
  Paper paper;
  std::string operator()(const CurvePlot& plot) const { return curve_script(plot, paper); }
  std::string operator()(const RowPlot& plot) const { return row_script(plot, paper); }
  std::string operator()(const ScatterPlot& plot) const { return scatter_script(plot, paper); }
};

/// The documents of an output that holds several.
std::vector<std::string> documents_of(const std::string& output) {
  constexpr std::string_view kEnd = "</svg>";
  std::vector<std::string> documents;
  size_t begin = 0;
  for (size_t end = output.find(kEnd); end != std::string::npos; end = output.find(kEnd, begin)) {
    end += kEnd.size();
    const size_t first = output.find("<svg", begin);
    documents.push_back(tidy_svg(output.substr(first, end - first)));
    begin = end;
  }
  return documents;
}

}  // namespace

bool has_points(const Plot& plot) { return std::visit(HasPoints{}, plot); }

size_t left_off_log_axes(const Plot& plot) { return std::visit(LeftOffLogAxes{}, plot); }

std::optional<std::vector<std::string>> draw_plots(std::span<const Plot> plots, Paper paper) {
  std::string script;
  for (const auto& plot : plots) {
    DDPM_CHECK(has_points(plot), "a plot of no points");
    script += std::visit(ScriptOf{paper}, plot);
  }
  if (script.empty()) {
    return std::vector<std::string>{};
  }
  const auto output = run_gnuplot(script);
  if (!output) {
    return std::nullopt;
  }
  auto documents = documents_of(*output);
  if (documents.size() != plots.size()) {
    throw core::ResourceError("gnuplot has drawn {} of {} plots", documents.size(), plots.size());
  }
  return documents;
}

}  // namespace ddpm_eval::eval
