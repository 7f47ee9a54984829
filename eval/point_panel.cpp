#include "eval/point_panel.h"

#include "base/core/error.h"
#include "base/tensor/shape.h"
#include "eval/round_step.h"
#include "eval/sheet.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <fmt/format.h>
#include <torch/types.h>

namespace ddpm_eval::eval {
namespace {

constexpr Ink kGridInk = {232, 232, 232};
constexpr Ink kFrameInk = {170, 170, 170};
constexpr Ink kMarkInk = {176, 48, 32};
constexpr int64_t kMarkSize = 3;
constexpr double kRoom = 1.04;
/// What lies farther from the bulk of the points, all but so much at either end, than half its width again
/// is an outlier: one would shrink all others to a blot.
constexpr double kTail = 0.005, kFence = 0.5;
constexpr double kInkOfAPoint = 0.6;
/// Of the darkness of ink: see the number of colours promised.
constexpr int kDarknessLevels = 63;
constexpr int64_t kNumberSize = 8, kNumberGap = 5;

/// One panel being drawn; its square begins at (left, top) of the canvas.
struct Square {
  PlaneView view;
  int64_t side, left, top;

  double per_unit() const { return static_cast<double>(side) / (2 * view.half); }
  double pixel_x(double x) const { return (x - view.x + view.half) * per_unit(); }
  double pixel_y(double y) const { return (view.y + view.half - y) * per_unit(); }
};

/// The part of the light that the ink of all points together keeps from each pixel, [side, side].
std::vector<double> darkness_of(const at::Tensor& points, const Square& square) {
  const double radius = std::max(0.9, static_cast<double>(square.side) / 250);
  const int64_t side = square.side;
  std::vector<double> light(static_cast<size_t>(side * side), 1.0);
  const auto plain = points.contiguous();
  const auto* values = plain.data_ptr<float>();
  for (int64_t i = 0; i < plain.size(0); ++i) {
    const double x = square.pixel_x(values[2 * i]), y = square.pixel_y(values[2 * i + 1]);
    if (!(x >= 0 && y >= 0 && x < static_cast<double>(side) && y < static_cast<double>(side))) {
      continue;
    }
    const auto from = [&](double at) { return std::max(int64_t{0}, static_cast<int64_t>(at - radius - 1)); };
    const auto to = [&](double at) { return std::min(side - 1, static_cast<int64_t>(at + radius + 1)); };
    for (int64_t row = from(y); row <= to(y); ++row) {
      for (int64_t column = from(x); column <= to(x); ++column) {
        const double distance =
            std::hypot(static_cast<double>(column) + 0.5 - x, static_cast<double>(row) + 0.5 - y);
        const double cover = std::clamp(radius + 0.5 - distance, 0.0, 1.0);
        light[static_cast<size_t>(row * side + column)] *= 1 - kInkOfAPoint * cover;
      }
    }
  }
  for (double& value : light) {
    value = std::round((1 - value) * kDarknessLevels) / kDarknessLevels;
  }
  return light;
}

std::vector<double> ticks_of(double low, double high) {
  const double step = round_step((high - low) / 5);
  std::vector<double> ticks;
  for (double k = std::ceil(low / step); k * step <= high; ++k) {
    ticks.push_back(k * step);
  }
  return ticks;
}

std::string number(double tick) { return fmt::format("{:.4g}", tick == 0 ? 0.0 : tick); }

void draw_grid(Canvas& canvas, const Square& square, bool numbers) {
  const auto within = [&](double at) {
    return std::clamp<int64_t>(static_cast<int64_t>(at), 0, square.side - 1);
  };
  for (const double tick : ticks_of(square.view.x - square.view.half, square.view.x + square.view.half)) {
    const int64_t at = square.left + within(square.pixel_x(tick));
    canvas.fill(square.top, at, square.side, 1, kGridInk);
    const auto label = number(tick);
    const int64_t begin = at - text_width(label, kNumberSize) / 2,
                  end = begin + text_width(label, kNumberSize);
    if (numbers && begin >= square.left && end <= square.left + square.side) {
      canvas.text(label, square.top + square.side + kNumberGap + kNumberSize, begin, kNumberSize);
    }
  }
  for (const double tick : ticks_of(square.view.y - square.view.half, square.view.y + square.view.half)) {
    const int64_t at = square.top + within(square.pixel_y(tick));
    canvas.fill(at, square.left, 1, square.side, kGridInk);
    const auto label = number(tick);
    const int64_t baseline = at + kNumberSize / 2;
    if (numbers && baseline - kNumberSize >= square.top && baseline <= square.top + square.side) {
      canvas.text(label, baseline, square.left - kNumberGap - text_width(label, kNumberSize), kNumberSize);
    }
  }
}

struct Range {
  double low, high;
};

/// From the least to the greatest of `values`, float64 [n], but no farther than kFence times the width of the
/// bulk beyond it.
Range range_without_outliers(const at::Tensor& values) {
  const auto sorted = std::get<0>(values.sort());
  const auto at = [&](double share) {
    return sorted[std::llround(share * static_cast<double>(sorted.size(0) - 1))].item<double>();
  };
  const double low = at(kTail), high = at(1 - kTail);
  const double room = kFence * (high - low);
  return {std::max(at(0), low - room), std::min(at(1), high + room)};
}

/// A mark on the frame for each point outside of it, in its direction.
void mark_outside(Canvas& canvas, const at::Tensor& points, const Square& square) {
  const auto plain = points.contiguous();
  const auto* values = plain.data_ptr<float>();
  const auto side = static_cast<double>(square.side);
  const auto begin_of = [&](double at) {
    return std::clamp<int64_t>(std::llround(std::clamp(at, 0.0, side)) - kMarkSize / 2, 0,
                               square.side - kMarkSize);
  };
  for (int64_t i = 0; i < plain.size(0); ++i) {
    const double x = square.pixel_x(values[2 * i]), y = square.pixel_y(values[2 * i + 1]);
    if (std::isfinite(x) && std::isfinite(y) && !(x >= 0 && y >= 0 && x < side && y < side)) {
      canvas.fill(square.top + begin_of(y), square.left + begin_of(x), kMarkSize, kMarkSize, kMarkInk);
    }
  }
}

void draw_frame(Canvas& canvas, const Square& square) {
  const int64_t last = square.side - 1;
  canvas.fill(square.top, square.left, 1, square.side, kFrameInk);
  canvas.fill(square.top + last, square.left, 1, square.side, kFrameInk);
  canvas.fill(square.top, square.left, square.side, 1, kFrameInk);
  canvas.fill(square.top, square.left + last, square.side, 1, kFrameInk);
}

}  // namespace

PlaneView view_of(const at::Tensor& points) {
  const auto flat = points.reshape({-1, 2}).to(torch::kFloat64).t().contiguous();
  DDPM_CHECK(flat.size(1) > 0, "a view of no points");
  const auto x = range_without_outliers(flat[0]), y = range_without_outliers(flat[1]);
  const double half = std::max(x.high - x.low, y.high - y.low) / 2 * kRoom;
  return {(x.low + x.high) / 2, (y.low + y.high) / 2, half > 0 ? half : 1};
}

at::Tensor point_panel(const at::Tensor& points, const PlaneView& view, const PanelOptions& options) {
  tensor::expect(points, at::kFloat, {-1, 2}, "points");
  Square square{view, options.side, 0, 0};
  int64_t below = 0;
  if (options.numbers) {
    for (const double tick : ticks_of(view.y - view.half, view.y + view.half)) {
      square.left = std::max(square.left, text_width(number(tick), kNumberSize) + kNumberGap);
    }
    below = kNumberSize + 2 * kNumberGap;
  }
  Canvas canvas(3, square.side + below, square.left + square.side);
  draw_grid(canvas, square, options.numbers);
  const auto darkness = darkness_of(points, square);
  for (int64_t row = 0; row < square.side; ++row) {
    for (int64_t column = 0; column < square.side; ++column) {
      const double cover = darkness[static_cast<size_t>(row * square.side + column)];
      if (cover > 0) {
        canvas.blend(square.top + row, square.left + column, kAccentInk, cover);
      }
    }
  }
  draw_frame(canvas, square);
  mark_outside(canvas, points, square);
  return canvas.image_u8();
}

}  // namespace ddpm_eval::eval
