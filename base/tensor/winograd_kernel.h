#pragma once

#include <cstdint>

// The transforms of Winograd's minimal filtering F(2 x 2, 3 x 3) over plain arrays, without LibTorch. Lavin &
// Gray 2016, section 4.1, whose names these are: d a tile of the input, g a filter, Y a tile of the output,
// U = G g G^T, V = B^T d B, Y = A^T (U V summed over channels) A. Equal bits with every instruction set.
namespace ddpm_eval::tensor::detail {

/// A tile of the output has 2 x 2 numbers, one of the input 4 x 4; so many products make the former.
inline constexpr int64_t kWinogradPlanes = 16;
/// Channels go through in groups of so many: their number is a multiple of it.
inline constexpr int64_t kWinogradLanes = 16;

/// Images [rows, height, width, channels] without gaps, cut into tiles of 2 x 2 from their first pixel on, in
/// the order of memory. What lies outside an image is zero where it is read and is not written.
struct TiledImages {
  int64_t height, width, channels;

  int64_t tile_rows() const { return (height + 1) / 2; }
  int64_t tile_columns() const { return (width + 1) / 2; }
};

/// kWinogradPlanes matrices [tiles, channels], `stride` numbers apart.
struct Planes {
  float* data;
  int64_t stride;
};

/// V of `tiles` tiles from the `first` on: those of 4 x 4 that begin `pad` before the pixels of the output's.
/// `tiled` has the sides of the output and the channels of x; x has the sides `height` and `width`.
void winograd_data(const float* x, int64_t height, int64_t width, const TiledImages& tiled, int64_t pad,
                   int64_t first, int64_t tiles, const Planes& v);

/// What becomes of Y, in this order.
struct Finish {
  const float* bias = nullptr;  ///< [channels], added; may be null
  bool adds = false;            ///< to what is there
  bool rectifies = false;       ///< what is below 0 becomes 0
};

void winograd_output(const Planes& m, const TiledImages& tiled, int64_t first, int64_t tiles,
                     const Finish& finish, float* y);

/// A dy A^T: the gradient by the products from that by the output.
void winograd_output_gradient(const float* dy, const TiledImages& tiled, int64_t first, int64_t tiles,
                              const Planes& dm);

/// Where the taps of a filter are: w[lane * lane_stride + row * row_stride + 3 i + j], or turned by 180
/// degrees.
struct Filters {
  int64_t rows, lanes, row_stride, lane_stride;
  bool turned;
};

/// U [16, rows, lanes] for lanes from `first_lane` to kWinogradLanes on.
void winograd_filters(const float* w, const Filters& filters, int64_t first_lane, float* u);

/// G^T dU G: the gradient by filters that are not turned, from that by U [16, rows, lanes], for lanes as
/// above.
void winograd_filters_gradient(const float* du, const Filters& filters, int64_t first_lane, float* dw);

}  // namespace ddpm_eval::tensor::detail
