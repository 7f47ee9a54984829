#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ddpm_eval::eval {

/// A curve through points in the order of x.
struct LinePlot {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<std::pair<double, double>> points;
  bool log_y = false;                                 ///< points with y <= 0 are left out
  std::optional<std::pair<double, double>> marked{};  ///< a point with a ring around it
};

/// The plot as a self-contained SVG document. Texts are escaped. Throws LogicError without a point to draw.
std::string render_svg(const LinePlot& plot);

/// The least of 1, 2 and 5 times a power of ten that is at least `rough` > 0: the distance of ticks.
double round_step(double rough);

}  // namespace ddpm_eval::eval
