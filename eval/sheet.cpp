#include "eval/sheet.h"

#include "base/core/error.h"

#include <algorithm>
#include <cmath>

#include <opencv2/imgproc.hpp>
#include <torch/types.h>

namespace ddpm_eval::eval {
namespace {

constexpr int64_t kMargin = 12, kGap = 6;
constexpr int64_t kLabelSize = 9, kCaptionSize = 11;
constexpr int64_t kBarHeight = 4;
/// Letters are drawn so much larger and shrunk, which makes them smooth.
constexpr int kFiner = 4;
/// Of the coverage: pictures keep to few colours, which a GIF can hold.
constexpr int kCoverLevels = 15;
constexpr auto kFont = cv::FONT_HERSHEY_SIMPLEX;
/// Capitals of the font at scale 1.
constexpr double kFontHeight = 21;

int stroke(int64_t size) {
  return std::max(1, static_cast<int>(std::lround(0.13 * static_cast<double>(kFiner * size))));
}

double font_scale(int64_t size) { return static_cast<double>(kFiner * size) / kFontHeight; }

/// Coverage in 0..255 of the letters, `above` rows over the baseline and the rest below it.
cv::Mat letters(const std::string& text, int64_t size, int64_t above) {
  const int height = static_cast<int>(above + size), width = static_cast<int>(text_width(text, size));
  cv::Mat fine(height * kFiner, width * kFiner, CV_8UC1, cv::Scalar(0));
  cv::putText(fine, text, {stroke(size), static_cast<int>(above) * kFiner}, kFont, font_scale(size),
              cv::Scalar(255), stroke(size), cv::LINE_8);
  cv::Mat coverage;
  cv::resize(fine, coverage, {width, height}, 0, 0, cv::INTER_AREA);
  return coverage;
}

int64_t widest(const std::vector<std::string>& labels, int64_t size) {
  int64_t width = 0;
  for (const auto& label : labels) {
    width = std::max(width, text_width(label, size));
  }
  return width;
}

/// Where things are on a sheet.
struct Layout {
  int64_t cell_height, cell_width;
  int64_t rows;
  int64_t left, top;  ///< of the first cell's column and row
  int64_t pitch_x, pitch_y;
  int64_t height, width;

  explicit Layout(const Sheet& sheet) {
    const auto& cell = sheet.cells.front();
    cell_height = cell.size(1);
    cell_width = cell.size(2);
    rows = (static_cast<int64_t>(sheet.cells.size()) + sheet.columns - 1) / sheet.columns;
    pitch_x = std::max(cell_width, widest(sheet.column_labels, kLabelSize)) + kGap;
    pitch_y = cell_height + kGap;
    const int64_t lettering = std::max(widest(sheet.row_labels, kLabelSize),
                                       sheet.corner.empty() ? 0 : text_width(sheet.corner, kLabelSize));
    left = kMargin + (lettering > 0 ? lettering + kGap : 0);
    top = kMargin + (sheet.caption.empty() ? 0 : kCaptionSize + 2 * kGap) +
          (sheet.column_labels.empty() ? 0 : kLabelSize + kGap);
    width = std::max(left + sheet.columns * pitch_x - kGap,
                     kMargin + std::max(sheet.caption_width, caption_width(sheet.caption))) +
            kMargin;
    height = top + rows * pitch_y - kGap + (sheet.progress ? kGap + kGap + kBarHeight : 0) + kMargin;
  }
};

}  // namespace

Canvas::Canvas(int64_t channels, int64_t height, int64_t width)
    : image_(torch::full({channels, height, width}, 255, torch::kUInt8)) {}

void Canvas::paste(const at::Tensor& image_u8, int64_t top, int64_t left) {
  image_.narrow(1, top, image_u8.size(1)).narrow(2, left, image_u8.size(2)).copy_(image_u8);
}

void Canvas::fill(int64_t top, int64_t left, int64_t height, int64_t width, const Ink& ink) {
  for (int64_t y = top; y < top + height; ++y) {
    for (int64_t x = left; x < left + width; ++x) {
      blend(y, x, ink, 1);
    }
  }
}

void Canvas::blend(int64_t y, int64_t x, const Ink& ink, double cover) {
  const int64_t channels = image_.size(0), height = image_.size(1), width = image_.size(2);
  DDPM_CHECK(y >= 0 && y < height && x >= 0 && x < width, "pixel {}, {} of {} x {}", x, y, width, height);
  auto* pixel = image_.data_ptr<uint8_t>() + y * width + x;
  for (int64_t c = 0; c < channels; ++c, pixel += height * width) {
    const double colour = channels == 3 ? ink[static_cast<size_t>(c)] : (ink[0] + ink[1] + ink[2]) / 3.0;
    *pixel = static_cast<uint8_t>(std::lround(*pixel + (colour - *pixel) * cover));
  }
}

void Canvas::text(const std::string& text, int64_t baseline, int64_t left, int64_t size) {
  const int64_t above = size + 2;
  const cv::Mat coverage = letters(text, size, above);
  for (int y = 0; y < coverage.rows; ++y) {
    for (int x = 0; x < coverage.cols; ++x) {
      const double cover = std::round(coverage.at<uint8_t>(y, x) / 255.0 * kCoverLevels) / kCoverLevels;
      if (cover > 0) {
        blend(baseline - above + y, left + x, kTextInk, cover);
      }
    }
  }
}

int64_t text_width(const std::string& text, int64_t size) {
  int baseline = 0;
  const auto box = cv::getTextSize(text, kFont, font_scale(size), stroke(size), &baseline);
  return (box.width + 2 * stroke(size) + kFiner - 1) / kFiner;
}

at::Tensor render(const Sheet& sheet) {
  const bool grey = std::all_of(sheet.cells.begin(), sheet.cells.end(),
                                [](const at::Tensor& cell) { return cell.size(0) == 1; });
  const Layout layout(sheet);
  Canvas canvas(grey ? 1 : 3, layout.height, layout.width);
  if (!sheet.caption.empty()) {
    canvas.text(sheet.caption, kMargin + kCaptionSize, kMargin, kCaptionSize);
  }
  const int64_t label_baseline = layout.top - kGap;
  const auto centre_of = [&](int64_t column) {
    return layout.left + column * layout.pitch_x + (layout.pitch_x - kGap) / 2;
  };
  for (size_t i = 0; i < sheet.column_labels.size(); ++i) {
    const auto& label = sheet.column_labels[i];
    canvas.text(label, label_baseline, centre_of(static_cast<int64_t>(i)) - text_width(label, kLabelSize) / 2,
                kLabelSize);
  }
  if (!sheet.corner.empty()) {
    canvas.text(sheet.corner, label_baseline, layout.left - kGap - text_width(sheet.corner, kLabelSize),
                kLabelSize);
  }
  for (size_t i = 0; i < sheet.row_labels.size(); ++i) {
    const auto& label = sheet.row_labels[i];
    const int64_t middle = layout.top + static_cast<int64_t>(i) * layout.pitch_y + layout.cell_height / 2;
    canvas.text(label, middle + kLabelSize / 2, layout.left - kGap - text_width(label, kLabelSize),
                kLabelSize);
  }
  for (size_t i = 0; i < sheet.cells.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    canvas.paste(sheet.cells[i], layout.top + at / sheet.columns * layout.pitch_y,
                 centre_of(at % sheet.columns) - layout.cell_width / 2);
  }
  if (sheet.progress) {
    const int64_t length = layout.width - kMargin - layout.left, top = layout.height - kMargin - kBarHeight;
    canvas.fill(top, layout.left, kBarHeight, length, kTrackInk);
    canvas.fill(top, layout.left, kBarHeight, std::lround(*sheet.progress * static_cast<double>(length)),
                kAccentInk);
  }
  return canvas.image_u8();
}

int64_t caption_width(const std::string& caption) {
  return caption.empty() ? 0 : text_width(caption, kCaptionSize);
}

int64_t grid_columns(int64_t count) {
  const auto root = static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(count))));
  int64_t best = root;
  const auto empty = [&](int64_t columns) { return (count + columns - 1) / columns * columns - count; };
  for (int64_t columns = root; columns <= 2 * root; ++columns) {
    if (empty(columns) < empty(best)) {
      best = columns;
    }
  }
  return best;
}

at::Tensor enlarged(const at::Tensor& image_u8, int64_t scale) {
  return image_u8.repeat_interleave(scale, 1).repeat_interleave(scale, 2);
}

}  // namespace ddpm_eval::eval
