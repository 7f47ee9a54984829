#include "base/tensor/winograd.h"

#include "base/core/error.h"
#include "base/tensor/product.h"
#include "base/tensor/winograd_kernel.h"

#include <algorithm>

#include <ATen/Parallel.h>
#include <torch/types.h>

namespace ddpm_eval::tensor::winograd {
namespace {

using detail::kWinogradLanes;
using detail::kWinogradPlanes;
using detail::Planes;
using detail::TiledImages;

/// Tiles that go through at once. Larger blocks were no faster: V and the products leave the second cache.
constexpr int64_t kBlock = 64;
/// Tiles that a sum over tiles takes at once: its result is read and written as often as there are blocks.
constexpr int64_t kGradientBlock = 256;
/// Below it an image does not fill a matrix product, and there is little to save.
constexpr int64_t kFewestTiles = 16;
constexpr int64_t kFewestChannels = 32;
/// That a thread is worth waking for.
constexpr int64_t kTilesAtLeast = 16;

/// Planes would otherwise fall on the same lines of the cache.
constexpr int64_t kSkew = kWinogradLanes;

int64_t tiles_of(const TiledImages& tiled, int64_t rows) {
  return rows * tiled.tile_rows() * tiled.tile_columns();
}

TiledImages output_tiles(const onednn::Problem& p, int64_t channels) {
  return {p.out_height, p.out_width, channels};
}

/// `begin` and size of a part of `total` in `parts` parts of almost equal size.
struct Part {
  int64_t begin, size;
};

Part part_of(int64_t total, int64_t parts, int64_t index) {
  const int64_t begin = total * index / parts;
  return {begin, total * (index + 1) / parts - begin};
}

Planes planes(at::Tensor& memory, int64_t tiles, int64_t channels) {
  const int64_t stride = tiles * channels + kSkew;
  memory = torch::empty({kWinogradPlanes * stride}, torch::kFloat32);
  return {memory.data_ptr<float>(), stride};
}

at::Tensor transformed(const at::Tensor& weight, const detail::Filters& filters) {
  at::Tensor u = torch::empty({kWinogradPlanes, filters.rows, filters.lanes}, torch::kFloat32);
  at::parallel_for(0, filters.lanes / kWinogradLanes, 1, [&](int64_t begin, int64_t end) {
    for (int64_t group = begin; group < end; ++group) {
      detail::winograd_filters(weight.data_ptr<float>(), filters, group * kWinogradLanes,
                               u.data_ptr<float>());
    }
  });
  return u;
}

constexpr int64_t kTaps = 9;  ///< of a filter

detail::Filters plain_filters(int64_t out, int64_t in) {
  return {.rows = in, .lanes = out, .row_stride = kTaps, .lane_stride = in * kTaps, .turned = false};
}

/// x [rows, height, width, in] and u [16, in, out] to y in `tiled`.
void convolve(const float* x, int64_t height, int64_t width, int64_t in, int64_t rows, int64_t pad,
              const at::Tensor& u, const TiledImages& tiled, const detail::Finish& finish, float* y) {
  const int64_t out = tiled.channels, tiles = tiles_of(tiled, rows);
  const TiledImages source{tiled.height, tiled.width, in};
  // Two at least, so that threads share blocks and each product has one: its bits depend on the number. And
  // no block of a single tile, whose product would be that of a vector, of other bits again.
  const int64_t blocks = std::min(tiles / 2, std::max<int64_t>(2, (tiles + kBlock - 1) / kBlock));
  const float* filters = u.data_ptr<float>();
  at::parallel_for(0, blocks, 1, [&](int64_t begin, int64_t end) {
    const int64_t most = std::min(kBlock, tiles);
    at::Tensor v_memory, m_memory;
    const Planes v = planes(v_memory, most, in), m = planes(m_memory, most, out);
    for (int64_t block = begin; block < end; ++block) {
      const Part part = part_of(tiles, blocks, block);
      detail::winograd_data(x, height, width, source, pad, part.begin, part.size, v);
      for (int64_t plane = 0; plane < kWinogradPlanes; ++plane) {
        multiply(part.size, in, out, 1, {v.data + plane * v.stride, in}, {filters + plane * in * out, out},
                 m.data + plane * m.stride, out);
      }
      detail::winograd_output(m, tiled, part.begin, part.size, finish, y);
    }
  });
}

}  // namespace

bool suits(const onednn::Problem& p) {
  const auto fits = [](int64_t channels) {
    return channels >= kFewestChannels && channels % kWinogradLanes == 0;
  };
  // oneDNN's products for AVX2 give a row other bits in a matrix of another height.
  return has_multiply() && onednn::has_avx512() && p.dtype == torch::kFloat32 &&
         p.result == torch::kFloat32 && p.kernel == Sides{3, 3} && p.shape.stride == 1 &&
         p.shape.pad_begin[0] == p.shape.pad_begin[1] && p.shape.pad_begin[0] <= 2 && fits(p.in) &&
         fits(p.out) && tiles_of(output_tiles(p, p.out), 1) >= kFewestTiles;
}

at::Tensor filters(const at::Tensor& weight) {
  return transformed(weight, plain_filters(weight.size(0), weight.size(1)));
}

void forward(const onednn::Problem& p, const at::Tensor& x, const at::Tensor& filters, const at::Tensor& bias,
             at::Tensor& y) {
  convolve(x.data_ptr<float>(), p.height, p.width, p.in, p.rows, p.shape.pad_begin[0], filters,
           output_tiles(p, p.out),
           {.bias = bias.data_ptr<float>(), .adds = p.adds, .rectifies = p.rectifier == Rectifier::kRelu},
           y.data_ptr<float>());
}

void backward_data(const onednn::Problem& p, const at::Tensor& dy, const at::Tensor& weight, at::Tensor& dx) {
  const at::Tensor u = transformed(
      weight,
      {.rows = p.out, .lanes = p.in, .row_stride = p.in * kTaps, .lane_stride = kTaps, .turned = true});
  convolve(dy.data_ptr<float>(), p.out_height, p.out_width, p.out, p.rows, 2 - p.shape.pad_begin[0], u,
           {p.height, p.width, p.in}, {}, dx.data_ptr<float>());
}

void backward_weights(const onednn::Problem& p, const at::Tensor& x, const at::Tensor& dy,
                      at::Tensor& dweight, at::Tensor& dbias) {
  const TiledImages source = output_tiles(p, p.in), target = output_tiles(p, p.out);
  const int64_t tiles = tiles_of(target, p.rows), blocks = (tiles + kGradientBlock - 1) / kGradientBlock;
  const int64_t most = std::min(kGradientBlock, tiles);
  at::Tensor v_memory, dm_memory;
  const Planes v = planes(v_memory, most, p.in), dm = planes(dm_memory, most, p.out);
  DDPM_CHECK(blocks > 0, "a gradient over no images");
  at::Tensor du = torch::empty({kWinogradPlanes, p.in, p.out}, torch::kFloat32);
  for (int64_t block = 0; block < blocks; ++block) {
    const Part part = part_of(tiles, blocks, block);
    at::parallel_for(0, part.size, kTilesAtLeast, [&](int64_t begin, int64_t end) {
      detail::winograd_data(x.data_ptr<float>(), p.height, p.width, source, p.shape.pad_begin[0],
                            part.begin + begin, end - begin, {v.data + begin * p.in, v.stride});
      detail::winograd_output_gradient(dy.data_ptr<float>(), target, part.begin + begin, end - begin,
                                       {dm.data + begin * p.out, dm.stride});
    });
    at::parallel_for(0, kWinogradPlanes, 1, [&](int64_t begin, int64_t end) {
      for (int64_t plane = begin; plane < end; ++plane) {
        multiply(p.in, part.size, p.out, 1, {v.data + plane * v.stride, p.in, Operand::kTransposed},
                 {dm.data + plane * dm.stride, p.out}, du.data_ptr<float>() + plane * p.in * p.out, p.out,
                 /*adds=*/block > 0);
      }
    });
  }
  at::parallel_for(0, p.out / kWinogradLanes, 1, [&](int64_t begin, int64_t end) {
    for (int64_t group = begin; group < end; ++group) {
      detail::winograd_filters_gradient(du.data_ptr<float>(), plain_filters(p.out, p.in),
                                        group * kWinogradLanes, dweight.data_ptr<float>());
    }
  });
  torch::sum_out(dbias, dy, {0, 2, 3});
}

}  // namespace ddpm_eval::tensor::winograd
