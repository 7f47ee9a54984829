#pragma once

#include <array>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

// Plots, described here and drawn by gnuplot. Texts may come from files: whatever they hold, they are shown
// and mean nothing.
namespace ddpm_eval::eval {

inline constexpr double kNoNumber = std::numeric_limits<double>::quiet_NaN();

struct PlotPoint {
  double x = 0;
  double y = 0;
  double low = kNoNumber;  ///< of y; not a number: no interval
  double high = kNoNumber;
};

enum class Marks { kLine, kPoints, kLineAndPoints };
enum class Interval { kNone, kBand, kBars };

struct PlotSeries {
  std::string label;              ///< in the key; empty: in none
  std::vector<PlotPoint> points;  ///< in the order of x
  Marks marks = Marks::kLine;
  Interval interval = Interval::kNone;
};

enum class XAxis { kLinear, kLog, kTime };  ///< kTime: seconds since 1970, shown as dates in UTC

/// Series over x, each in a colour, a dash and a shape of its own.
struct CurvePlot {
  std::string x_label;
  std::string y_label;
  std::vector<PlotSeries> series;
  XAxis x_axis = XAxis::kLinear;
  bool log_y = false;
};

struct PlotRow {
  std::string label;
  double value = 0;  ///< not a number: the row stands empty
  double low = kNoNumber;
  double high = kNoNumber;
  std::vector<double> values{};  ///< what `value` is the mean of, as small dots
};

/// A value with its interval for each row, one below the other.
struct RowPlot {
  std::string x_label;
  std::vector<PlotRow> rows;
  std::optional<double> line{};  ///< a mark in every row, as that of a floor
  bool log_x = false;
};

/// Points in a square of the plane over others.
struct ScatterPlot {
  std::vector<std::array<double, 2>> behind;
  std::vector<std::array<double, 2>> points;
  double x = 0;  ///< the middle of the square
  double y = 0;
  double half = 1;  ///< half a side; points outside are not drawn
};

using Plot = std::variant<CurvePlot, RowPlot, ScatterPlot>;

/// Whether there is anything to draw: a finite number, and a positive one on a logarithmic axis.
bool has_points(const Plot& plot);

/// Finite numbers that are not drawn since the axis is logarithmic and they are not positive.
size_t left_off_log_axes(const Plot& plot);

enum class Paper { kTransparent, kWhite };

/// The colours of the series in the order in which they are taken, red, green and blue: Okabe and Ito's,
/// which the colour-blind can tell apart, and a grey. The inks are those of the axes, the lines of the grid
/// and what stands behind.
inline constexpr std::array<std::array<int, 3>, 7> kPlotColours = {{{0, 114, 178},
                                                                    {213, 94, 0},
                                                                    {0, 158, 115},
                                                                    {204, 121, 167},
                                                                    {230, 159, 0},
                                                                    {86, 180, 233},
                                                                    {119, 119, 119}}};
inline constexpr std::array<int, 3> kAxisInk = {136, 136, 136};
inline constexpr std::array<int, 3> kGridLine = {221, 221, 221};
inline constexpr std::array<int, 3> kBehindInk = {187, 187, 187};

/// Each plot as a self-contained SVG document; the same plots give the same bytes. Nothing if gnuplot is not
/// installed. Throws LogicError for a plot without points, and what run_gnuplot() throws.
std::optional<std::vector<std::string>> draw_plots(std::span<const Plot> plots, Paper paper);

}  // namespace ddpm_eval::eval
