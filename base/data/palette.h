#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

// Pictures of few colours, for formats that have a palette.
namespace ddpm_eval::data {

using Colour = std::array<uint8_t, 3>;  ///< red, green, blue

/// Up to 256 colours that stand for more.
class Palette {
 public:
  /// `levels` greys from black to white, evenly spaced: for greyscale. `levels` in 2..256.
  static Palette greys(int64_t levels);

  /// The colours of `pixels` themselves if they are no more than `size`; else `size` that stand for them, by
  /// median cut (Heckbert 1982): the box of colours with the largest squared deviation is cut at the median
  /// of its widest channel until there are enough, and a box shows its mean. `size` in 2..256.
  static Palette of_pixels(std::span<const Colour> pixels, int64_t size);

  const std::vector<Colour>& colours() const { return colours_; }

  /// The index of the colour that stands for `colour`, which must be one that the palette was made of; for
  /// greys, the level nearest to its red.
  uint8_t index_of(const Colour& colour) const;

  /// Whether every colour stands for itself alone.
  bool exact() const { return exact_; }

 private:
  struct Entry {
    uint32_t packed;  ///< 0xRRGGBB
    uint8_t index;
  };
  std::vector<Colour> colours_;
  std::vector<Entry> entries_;  ///< by `packed`; none for greys
  bool exact_ = true;
};

}  // namespace ddpm_eval::data
