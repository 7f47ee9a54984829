#include "eval/line_plot.h"

#include "base/core/error.h"
#include "eval/report_page.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

constexpr double kWidth = 640, kHeight = 400;
constexpr double kLeft = 80, kRight = 20, kTop = 36, kBottom = 52;
constexpr int kTicks = 5;

/// One axis: data to pixels.
struct Axis {
  double low, high, begin, end;
  double at(double value) const { return begin + (value - low) / (high - low) * (end - begin); }
};

Axis make_axis(double low, double high, double begin, double end) {
  if (!(high > low)) {  // a single value stands in the middle
    const double room = std::max(1.0, std::abs(low)) / 2;
    low -= room;
    high += room;
  }
  return {low, high, begin, end};
}

/// For about kTicks ticks.
double tick_step(const Axis& axis) { return round_step((axis.high - axis.low) / kTicks); }

std::string text_at(double x, double y, const char* anchor, const std::string& text, const char* more = "") {
  return fmt::format(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="{}"{}>{}</text>)"
                     "\n",
                     x, y, anchor, more, escape_html(text));
}

std::string line(double x_1, double y_1, double x_2, double y_2) {
  return fmt::format(R"(<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" stroke="#ddd"/>)"
                     "\n",
                     x_1, y_1, x_2, y_2);
}

std::string ticks(const Axis& axis, bool horizontal, bool log) {
  std::string svg;
  const double step = log ? std::max(1.0, std::round(tick_step(axis))) : tick_step(axis);
  for (double value = std::ceil(axis.low / step) * step; value <= axis.high + 1e-9 * step; value += step) {
    const double at = axis.at(value);
    const double shown = std::abs(value) < 1e-9 * step ? 0 : value;
    const auto label = log ? fmt::format("1e{:.0f}", shown) : fmt::format("{:.6g}", shown);
    svg += horizontal
               ? line(at, kTop, at, kHeight - kBottom) + text_at(at, kHeight - kBottom + 18, "middle", label)
               : line(kLeft, at, kWidth - kRight, at) + text_at(kLeft - 6, at + 4, "end", label);
  }
  return svg;
}

}  // namespace

double round_step(double rough) {
  const double power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough) {
      return factor * power;
    }
  }
  return 10 * power;
}

std::string render_svg(const LinePlot& plot) {
  std::vector<std::pair<double, double>> points;
  for (const auto& [x, y] : plot.points) {
    if (!plot.log_y || y > 0) {
      points.emplace_back(x, plot.log_y ? std::log10(y) : y);
    }
  }
  DDPM_CHECK(!points.empty(), "a plot of no points");
  const auto [first, last] = std::minmax_element(points.begin(), points.end());
  const auto by_y = [](const auto& a, const auto& b) { return a.second < b.second; };
  const auto [lowest, highest] = std::minmax_element(points.begin(), points.end(), by_y);
  const auto x_axis = make_axis(first->first, last->first, kLeft, kWidth - kRight);
  const auto y_axis = make_axis(lowest->second, highest->second, kHeight - kBottom, kTop);
  std::string svg = fmt::format(
      R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {1}" width="{0}" height="{1}" font-family="sans-serif" font-size="12">)"
      "\n"
      R"(<rect width="100%" height="100%" fill="white"/>)"
      "\n",
      kWidth, kHeight);
  svg += ticks(x_axis, true, false) + ticks(y_axis, false, plot.log_y);
  svg += text_at(kWidth / 2, 20, "middle", plot.title, R"( font-size="14")");
  svg += text_at((kLeft + kWidth - kRight) / 2, kHeight - 12, "middle", plot.x_label);
  const double middle = (kTop + kHeight - kBottom) / 2;
  const auto turned = fmt::format(" transform=\"rotate(-90 16 {:.1f})\"", middle);
  svg += text_at(16, middle, "middle", plot.y_label, turned.c_str());
  svg += R"(<polyline fill="none" stroke="#1f5fa8" stroke-width="1.5" points=")";
  for (const auto& [x, y] : points) {
    svg += fmt::format("{:.2f},{:.2f} ", x_axis.at(x), y_axis.at(y));
  }
  svg += "\"/>\n";
  if (plot.marked && (!plot.log_y || plot.marked->second > 0)) {
    const auto [x, y] = *plot.marked;
    svg +=
        fmt::format(R"(<circle cx="{:.2f}" cy="{:.2f}" r="5" fill="none" stroke="#b03020" stroke-width="2"/>)"
                    "\n",
                    x_axis.at(x), y_axis.at(plot.log_y ? std::log10(y) : y));
  }
  return svg + "</svg>\n";
}

}  // namespace ddpm_eval::eval
