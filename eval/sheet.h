#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

// Pictures with lettering, on white paper.
namespace ddpm_eval::eval {

using Ink = std::array<uint8_t, 3>;  ///< red, green, blue

inline constexpr Ink kTextInk = {51, 51, 51};
inline constexpr Ink kAccentInk = {31, 95, 168};
inline constexpr Ink kTrackInk = {224, 224, 224};

/// A picture being drawn. Of one channel it shows inks by their mean.
class Canvas {
 public:
  Canvas(int64_t channels, int64_t height, int64_t width);

  const at::Tensor& image_u8() const { return image_; }  ///< uint8 [channels, height, width]

  /// uint8 [1 or 3, h, w], within the canvas.
  void paste(const at::Tensor& image_u8, int64_t top, int64_t left);
  void fill(int64_t top, int64_t left, int64_t height, int64_t width, const Ink& ink);
  /// Lays `ink` over one pixel; `cover` in [0, 1].
  void blend(int64_t y, int64_t x, const Ink& ink, double cover);
  /// Digits and capitals are `size` pixels high and stand on row `baseline`.
  void text(const std::string& text, int64_t baseline, int64_t left, int64_t size);

 private:
  at::Tensor image_;
};

/// In pixels, of text() at that size.
int64_t text_width(const std::string& text, int64_t size);

/// Pictures side by side, evenly spaced.
struct Sheet {
  std::vector<at::Tensor> cells{};  ///< uint8 [1 or 3, h, w], of one size, row by row
  int64_t columns = 1;
  std::string corner{};                      ///< left of the column labels
  std::vector<std::string> column_labels{};  ///< none, or one a column
  std::vector<std::string> row_labels{};     ///< none, or one a row
  std::string caption{};                     ///< above all; empty: none
  int64_t caption_width = 0;                 ///< room for other captions of a series, as caption_width() says
  std::optional<double> progress{};          ///< a bar below, filled so far; in [0, 1]
};

/// uint8 [C, H, W]; C is 1 if all cells are grey and 3 otherwise. Its size follows from the number and size
/// of the cells, the labels, caption_width and whether there are caption and bar: not from what they show.
at::Tensor render(const Sheet& sheet);

/// In pixels, of a caption.
int64_t caption_width(const std::string& caption);

/// The columns of a grid of `count` cells that is near a square and leaves few cells empty, wider than high.
int64_t grid_columns(int64_t count);

/// Every pixel `scale` by `scale`: uint8 [C, h, w] to [C, scale h, scale w].
at::Tensor enlarged(const at::Tensor& image_u8, int64_t scale);

}  // namespace ddpm_eval::eval
