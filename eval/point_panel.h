#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::eval {

/// The square of the plane that panels show.
struct PlaneView {
  double x = 0;  ///< the middle
  double y = 0;
  double half = 1;  ///< half a side
};

/// The smallest square around `points`, float32 [..., 2], with a little room; the same scale on both axes.
/// Per coordinate, what lies farther beyond the middle 99 % than half of their width does not count.
PlaneView view_of(const at::Tensor& points);

struct PanelOptions {
  int64_t side = 160;   ///< of the square of the plane, in pixels
  bool numbers = true;  ///< at the ticks, left and below, outside of the square
};

/// A scatter plot on a grid of thin lines: where more points lie the ink is darker. `points` float32 [n, 2];
/// those outside of the view are red marks on its edge. uint8 [3, H, W]; without numbers H = W = side. At
/// most some 150 colours.
at::Tensor point_panel(const at::Tensor& points, const PlaneView& view, const PanelOptions& options);

}  // namespace ddpm_eval::eval
