#pragma once

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
  bool log_y = false;  ///< points with y <= 0 are left out
};

/// The plot as a self-contained SVG document. Texts are escaped. Throws LogicError without a point to draw.
std::string render_svg(const LinePlot& plot);

}  // namespace ddpm_eval::eval
