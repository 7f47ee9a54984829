#include "base/tensor/winograd_kernel.h"

#include "base/core/target_clones.h"

namespace ddpm_eval::tensor::detail {
namespace {

constexpr int64_t kSide = 4;  ///< of a tile of the input
constexpr int64_t kTile = 2;  ///< of one of the output
constexpr int64_t kFilterSide = 3;

// The compiler cuts these into what the instruction set has.
using Lanes = float __attribute__((vector_size(kWinogradLanes * sizeof(float)), aligned(4), may_alias));

DDPM_EVAL_INLINE const Lanes& lanes_at(const float* from) { return *reinterpret_cast<const Lanes*>(from); }
DDPM_EVAL_INLINE Lanes& lanes_at(float* from) { return *reinterpret_cast<Lanes*>(from); }

/// One side of V = B^T d B, of vectors `step` apart.
DDPM_EVAL_INLINE void data_side(const Lanes* d, int64_t step, Lanes* v) {
  v[0] = d[0] - d[2 * step];
  v[1 * step] = d[1 * step] + d[2 * step];
  v[2 * step] = d[2 * step] - d[1 * step];
  v[3 * step] = d[1 * step] - d[3 * step];
}

/// Where a tile is.
struct Place {
  int64_t image, row, column;
};

DDPM_EVAL_INLINE Place place_of(const TiledImages& tiled, int64_t tile) {
  const int64_t columns = tiled.tile_columns(), each = tiled.tile_rows() * columns;
  return {tile / each, tile % each / columns * kTile, tile % columns * kTile};
}

}  // namespace

DDPM_EVAL_CLONES void winograd_data(const float* x, int64_t height, int64_t width, const TiledImages& tiled,
                                    int64_t pad, int64_t first, int64_t tiles, const Planes& v) {
  const int64_t channels = tiled.channels;
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const Place place = place_of(tiled, first + tile);
    const int64_t top = place.row - pad, left = place.column - pad;
    const bool inside = top >= 0 && left >= 0 && top + kSide <= height && left + kSide <= width;
    const float* corner = x + ((place.image * height + top) * width + left) * channels;
    float* to = v.data + tile * channels;
    for (int64_t c = 0; c < channels; c += kWinogradLanes) {
      Lanes d[kSide][kSide], half[kSide][kSide], whole[kSide][kSide];
      for (int64_t i = 0; i < kSide; ++i) {
        for (int64_t j = 0; j < kSide; ++j) {
          const bool present =
              inside || (top + i >= 0 && top + i < height && left + j >= 0 && left + j < width);
          d[i][j] = present ? lanes_at(corner + (i * width + j) * channels + c) : Lanes{};
        }
      }
      for (int64_t j = 0; j < kSide; ++j) {
        data_side(&d[0][j], kSide, &half[0][j]);
      }
      for (int64_t i = 0; i < kSide; ++i) {
        data_side(half[i], 1, whole[i]);
        for (int64_t j = 0; j < kSide; ++j) {
          lanes_at(to + (i * kSide + j) * v.stride + c) = whole[i][j];
        }
      }
    }
  }
}

DDPM_EVAL_CLONES void winograd_output(const Planes& m, const TiledImages& tiled, int64_t first, int64_t tiles,
                                      const Finish& finish, float* y) {
  const int64_t channels = tiled.channels;
  const float* bias = finish.bias;
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const Place place = place_of(tiled, first + tile);
    const int64_t rows = place.row + kTile <= tiled.height ? kTile : 1;
    const int64_t columns = place.column + kTile <= tiled.width ? kTile : 1;
    float* corner = y + ((place.image * tiled.height + place.row) * tiled.width + place.column) * channels;
    const float* from = m.data + tile * channels;
    for (int64_t c = 0; c < channels; c += kWinogradLanes) {
      Lanes half[kTile][kSide];
      for (int64_t j = 0; j < kSide; ++j) {
        const Lanes m0 = lanes_at(from + j * m.stride + c), m1 = lanes_at(from + (kSide + j) * m.stride + c);
        const Lanes m2 = lanes_at(from + (2 * kSide + j) * m.stride + c);
        const Lanes m3 = lanes_at(from + (3 * kSide + j) * m.stride + c);
        half[0][j] = m0 + m1 + m2;
        half[1][j] = m1 - m2 - m3;
      }
      for (int64_t i = 0; i < rows; ++i) {
        Lanes whole[kTile];
        whole[0] = half[i][0] + half[i][1] + half[i][2];
        whole[1] = half[i][1] - half[i][2] - half[i][3];
        for (int64_t j = 0; j < columns; ++j) {
          float* to = corner + (i * tiled.width + j) * channels + c;
          Lanes value = bias != nullptr ? whole[j] + lanes_at(bias + c) : whole[j];
          value = finish.adds ? lanes_at(to) + value : value;
          lanes_at(to) = finish.rectifies ? (value < 0 ? Lanes{} : value) : value;
        }
      }
    }
  }
}

DDPM_EVAL_CLONES void winograd_output_gradient(const float* dy, const TiledImages& tiled, int64_t first,
                                               int64_t tiles, const Planes& dm) {
  const int64_t channels = tiled.channels;
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const Place place = place_of(tiled, first + tile);
    const bool below = place.row + 1 < tiled.height, beside = place.column + 1 < tiled.width;
    const float* corner =
        dy + ((place.image * tiled.height + place.row) * tiled.width + place.column) * channels;
    float* to = dm.data + tile * channels;
    for (int64_t c = 0; c < channels; c += kWinogradLanes) {
      const float* under = corner + tiled.width * channels;
      const Lanes y00 = lanes_at(corner + c), y01 = beside ? lanes_at(corner + channels + c) : Lanes{};
      const Lanes y10 = below ? lanes_at(under + c) : Lanes{};
      const Lanes y11 = below && beside ? lanes_at(under + channels + c) : Lanes{};
      const Lanes half[kSide][kTile] = {
          {y00, y01}, {y00 + y10, y01 + y11}, {y00 - y10, y01 - y11}, {-y10, -y11}};
      for (int64_t i = 0; i < kSide; ++i) {
        float* plane = to + i * kSide * dm.stride + c;
        lanes_at(plane) = half[i][0];
        lanes_at(plane + dm.stride) = half[i][0] + half[i][1];
        lanes_at(plane + 2 * dm.stride) = half[i][0] - half[i][1];
        lanes_at(plane + 3 * dm.stride) = -half[i][1];
      }
    }
  }
}

DDPM_EVAL_CLONES void winograd_filters(const float* w, const Filters& filters, int64_t first_lane, float* u) {
  for (int64_t row = 0; row < filters.rows; ++row) {
    Lanes g[kFilterSide * kFilterSide];
    for (int64_t tap = 0; tap < kFilterSide * kFilterSide; ++tap) {
      const float* from =
          w + row * filters.row_stride + (filters.turned ? kFilterSide * kFilterSide - 1 - tap : tap);
      for (int64_t lane = 0; lane < kWinogradLanes; ++lane) {
        g[tap][lane] = from[(first_lane + lane) * filters.lane_stride];
      }
    }
    Lanes half[kSide][kFilterSide];
    for (int64_t j = 0; j < kFilterSide; ++j) {
      const Lanes outer = 0.5F * (g[j] + g[2 * kFilterSide + j]), middle = 0.5F * g[kFilterSide + j];
      half[0][j] = g[j];
      half[1][j] = outer + middle;
      half[2][j] = outer - middle;
      half[3][j] = g[2 * kFilterSide + j];
    }
    for (int64_t i = 0; i < kSide; ++i) {
      const Lanes outer = 0.5F * (half[i][0] + half[i][2]), middle = 0.5F * half[i][1];
      const Lanes whole[kSide] = {half[i][0], outer + middle, outer - middle, half[i][2]};
      for (int64_t j = 0; j < kSide; ++j) {
        lanes_at(u + ((i * kSide + j) * filters.rows + row) * filters.lanes + first_lane) = whole[j];
      }
    }
  }
}

DDPM_EVAL_CLONES void winograd_filters_gradient(const float* du, const Filters& filters, int64_t first_lane,
                                                float* dw) {
  for (int64_t row = 0; row < filters.rows; ++row) {
    Lanes half[kFilterSide][kSide];
    for (int64_t j = 0; j < kSide; ++j) {
      Lanes u[kSide];
      for (int64_t i = 0; i < kSide; ++i) {
        u[i] = lanes_at(du + ((i * kSide + j) * filters.rows + row) * filters.lanes + first_lane);
      }
      half[0][j] = u[0] + 0.5F * (u[1] + u[2]);
      half[1][j] = 0.5F * (u[1] - u[2]);
      half[2][j] = u[3] + 0.5F * (u[1] + u[2]);
    }
    for (int64_t i = 0; i < kFilterSide; ++i) {
      const Lanes whole[kFilterSide] = {half[i][0] + 0.5F * (half[i][1] + half[i][2]),
                                        0.5F * (half[i][1] - half[i][2]),
                                        half[i][3] + 0.5F * (half[i][1] + half[i][2])};
      for (int64_t j = 0; j < kFilterSide; ++j) {
        float* to = dw + row * filters.row_stride + i * kFilterSide + j;
        for (int64_t lane = 0; lane < kWinogradLanes; ++lane) {
          to[(first_lane + lane) * filters.lane_stride] = whole[j][lane];
        }
      }
    }
  }
}

}  // namespace ddpm_eval::tensor::detail
