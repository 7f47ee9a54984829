#include "base/tensor/convolve_cuda.h"
#include "base/tensor/launch.cuh"
#include "base/tensor/tensor_core.cuh"

#include <algorithm>
#include <stdexcept>
#include <string>

/// The first with these instructions, as __CUDA_ARCH__ counts.
#define DDPM_EVAL_FIRST_ARCHITECTURE 800

// A convolution as one product of matrices: a row for each position of y, a column for each of its channels,
// and the numbers below a kernel, taps by channels, between the two. No such matrix is ever written: a block
// of threads gathers the part that it needs, 16 channels of one tap at a time, while it multiplies the part
// before.
namespace ddpm_eval::tensor::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kThreads = 32 * kWarps;
constexpr int kBlockRows = 128;
constexpr int kWarpRows = 64;       ///< of two warps one above the other; two more stand beside them
constexpr int kDepth = 16;          ///< numbers of a row gathered at a time
constexpr int kPitch = kDepth + 4;  ///< floats from row to row in shared memory: no two lanes meet in a bank
constexpr int kStages = 4;
constexpr int kLanesOfRow = kDepth / 4;  ///< threads that gather a row, four floats each
constexpr int kRowsAtOnce = kThreads / kLanesOfRow;
constexpr int kRowsOfThread = kBlockRows / kRowsAtOnce;
constexpr int kRowTiles = kWarpRows / 16;
constexpr int kStep = 8;           ///< numbers that one instruction multiplies
constexpr int kFarAway = 1 << 20;  ///< above any map: rows from there on are zeros

/// A ConvolutionProblem in the device's numbers.
struct Shape {
  int in, height, width;
  int out, kernel_width, out_height, out_width;
  int stride, pad_rows, pad_columns;
  int rows;   ///< of the product
  int depth;  ///< taps by channels
};

/// The rows of x that a thread gathers from.
class Gatherer {
 public:
  __device__ __forceinline__ Gatherer(const Shape& shape, const float* x, int first_row, int quarter)
      : shape_(shape), x_(x) {
#pragma unroll
    for (int i = 0; i < kRowsOfThread; ++i) {
      const int row = first_row + i * kRowsAtOnce;
      const int column = row % shape.out_width, rest = row / shape.out_width;
      const int image = rest / shape.out_height;
      top_[i] = rest % shape.out_height * shape.stride - shape.pad_rows;
      left_[i] = column * shape.stride - shape.pad_columns;
      base_[i] = ((image * shape.height + top_[i]) * shape.width + left_[i]) * shape.in + 4 * quarter;
      if (row >= shape.rows) {
        top_[i] = -kFarAway;
      }
    }
  }

  /// Copies the numbers of the next 16 channels to `to`, the thread's place in the first of its rows.
  __device__ __forceinline__ void copy(float* to) const {
    const int offset = (tap_row_ * shape_.width + tap_column_) * shape_.in + channel_;
#pragma unroll
    for (int i = 0; i < kRowsOfThread; ++i) {
      const bool inside = static_cast<unsigned>(top_[i] + tap_row_) < static_cast<unsigned>(shape_.height) &&
                          static_cast<unsigned>(left_[i] + tap_column_) < static_cast<unsigned>(shape_.width);
      copy_four(to + i * kRowsAtOnce * kPitch, inside ? x_ + base_[i] + offset : x_, inside);
    }
  }

  __device__ __forceinline__ void advance() {
    channel_ += kDepth;
    if (channel_ == shape_.in) {
      channel_ = 0;
      if (++tap_column_ == shape_.kernel_width) {
        tap_column_ = 0;
        ++tap_row_;
      }
    }
  }

 private:
  const Shape& shape_;
  const float* x_;
  int top_[kRowsOfThread];
  int left_[kRowsOfThread];
  int base_[kRowsOfThread];
  int tap_row_ = 0;
  int tap_column_ = 0;
  int channel_ = 0;
};

/// A warp's part of the result: 64 rows by 8 ColumnTiles columns.
template <int ColumnTiles>
struct Sums {
  float of[kRowTiles][ColumnTiles][4] = {};

  /// Adds the products of `kDepth` numbers. `a` and `b` are the warp's first rows of the two matrices.
  __device__ __forceinline__ void add(const float* a, const float* b, int lane) {
    const int group = lane / 4, place = lane % 4;
#pragma unroll
    for (int k = 0; k < kDepth; k += kStep) {
      uint32_t a_high[kRowTiles][4], a_low[kRowTiles][4];
#pragma unroll
      for (int m = 0; m < kRowTiles; ++m) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const int row = 16 * m + group + 8 * (i % 2), column = k + place + 4 * (i / 2);
          const Halves halves = halves_of(a[row * kPitch + column]);
          a_high[m][i] = halves.high;
          a_low[m][i] = halves.low;
        }
      }
#pragma unroll
      for (int n = 0; n < ColumnTiles; ++n) {
        uint32_t b_high[2], b_low[2];
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const Halves halves = halves_of(b[(8 * n + group) * kPitch + k + place + 4 * i]);
          b_high[i] = halves.high;
          b_low[i] = halves.low;
        }
        // The small ones first. A tensor core cuts off what a sum has no room for; that shall not add up over
        // the depth, so it sums eight numbers and the rest is rounded addition.
        float products[kRowTiles][4];
#pragma unroll
        for (int m = 0; m < kRowTiles; ++m) {
          multiply(products[m], a_low[m], b_high);
        }
#pragma unroll
        for (int m = 0; m < kRowTiles; ++m) {
          multiply_add(products[m], a_high[m], b_low);
        }
#pragma unroll
        for (int m = 0; m < kRowTiles; ++m) {
          multiply_add(products[m], a_high[m], b_high);
        }
#pragma unroll
        for (int m = 0; m < kRowTiles; ++m) {
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            of[m][n][i] += products[m][i];
          }
        }
      }
    }
  }
};

__device__ __forceinline__ float rectified(float x) { return x < 0.0F ? 0.0F : x; }

template <int ColumnTiles>
__global__ void __launch_bounds__(kThreads, ColumnTiles > 4 ? 2 : 3)
    convolve(const Shape shape, const float* __restrict__ x, const float* __restrict__ weight,
             const float* __restrict__ bias, float* __restrict__ y) {
#if __CUDA_ARCH__ < DDPM_EVAL_FIRST_ARCHITECTURE
  __trap();  // has_tensor_cores() has not let it come here
#else
  constexpr int kWarpColumns = 8 * ColumnTiles, kBlockColumns = 2 * kWarpColumns;
  extern __shared__ __align__(16) float shared[];
  const auto rows_of = [&](int stage) { return shared + stage * kBlockRows * kPitch; };
  const auto columns_of = [&](int stage) {
    return shared + (kStages * kBlockRows + stage * kBlockColumns) * kPitch;
  };
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
  const int first_row = static_cast<int>(blockIdx.x) * kBlockRows;
  const int first_column = static_cast<int>(blockIdx.y) * kBlockColumns;
  const int quarter = thread % kLanesOfRow, own_row = thread / kLanesOfRow;
  const int own_place = own_row * kPitch + 4 * quarter;
  Gatherer gatherer(shape, x, first_row + own_row, quarter);
  const int chunks = shape.depth / kDepth;

  const auto gather = [&](int chunk) {
    if (chunk < chunks) {
      const int stage = chunk % kStages;
      gatherer.copy(rows_of(stage) + own_place);
      gatherer.advance();
#pragma unroll
      for (int row = 0; row < kBlockColumns; row += kRowsAtOnce) {
        if (kBlockColumns % kRowsAtOnce == 0 || row + own_row < kBlockColumns) {
          const int column = first_column + row + own_row;
          const bool inside = column < shape.out;
          const float* from = weight + (inside ? column * shape.depth + chunk * kDepth + 4 * quarter : 0);
          copy_four(columns_of(stage) + own_place + row * kPitch, from, inside);
        }
      }
    }
    end_copies();
  };

  Sums<ColumnTiles> sums;
  const int warp_row = warp % 2 * kWarpRows, warp_column = warp / 2 * kWarpColumns;
  for (int chunk = 0; chunk < kStages - 1; ++chunk) {
    gather(chunk);
  }
  for (int chunk = 0; chunk < chunks; ++chunk) {
    wait_for_copies<kStages - 2>();
    __syncthreads();  // all have what this chunk needs, and none reads the one before it any more
    gather(chunk + kStages - 1);
    const int stage = chunk % kStages;
    sums.add(rows_of(stage) + warp_row * kPitch, columns_of(stage) + warp_column * kPitch, lane);
  }

#pragma unroll
  for (int n = 0; n < ColumnTiles; ++n) {
    const int column = first_column + warp_column + 8 * n + 2 * (lane % 4);
    if (column < shape.out) {
      const float2 shift = *reinterpret_cast<const float2*>(bias + column);
#pragma unroll
      for (int m = 0; m < kRowTiles; ++m) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const int row = first_row + warp_row + 16 * m + lane / 4 + 8 * half;
          if (row < shape.rows) {
            *reinterpret_cast<float2*>(y + row * shape.out + column) =
                make_float2(rectified(sums.of[m][n][2 * half] + shift.x),
                            rectified(sums.of[m][n][2 * half + 1] + shift.y));
          }
        }
      }
    }
  }
#endif
}

template <int ColumnTiles>
void launch(const Shape& shape, const float* x, const float* weight, const float* bias, float* y,
            cudaStream_t stream) {
  constexpr int kBlockColumns = 16 * ColumnTiles;
  constexpr int kBytes = kStages * (kBlockRows + kBlockColumns) * kPitch * static_cast<int>(sizeof(float));
  if (cudaFuncSetAttribute(convolve<ColumnTiles>, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes) !=
      cudaSuccess) {
    throw std::runtime_error("convolve: no room in shared memory");
  }
  const dim3 blocks(static_cast<unsigned>(ceil_div(shape.rows, kBlockRows)),
                    static_cast<unsigned>(ceil_div(shape.out, kBlockColumns)));
  convolve<ColumnTiles><<<blocks, kThreads, kBytes, stream>>>(shape, x, weight, bias, y);
  check_launch("convolve");
}

/// Of the widths of a block the one that computes the fewest columns beyond the last, and of such the widest.
int column_tiles(int64_t out) {
  int best = 0;
  int64_t least = 0;
  for (const int tiles : {6, 5, 4, 3, 2}) {
    const int64_t width = 16 * tiles, computed = ceil_div(out, width) * width;
    if (best == 0 || computed < least) {
      best = tiles;
      least = computed;
    }
  }
  return best;
}

/// Whether what the current device loads of the kernel was compiled with its body: for older ones, of which
/// code a newer device may make its own, that is left out.
bool has_tensor_cores() {
  cudaFuncAttributes loaded;
  if (cudaFuncGetAttributes(&loaded, convolve<2>) != cudaSuccess) {
    cudaGetLastError();  // that there is no such code is no error of what comes later
    return false;
  }
  return loaded.ptxVersion >= DDPM_EVAL_FIRST_ARCHITECTURE / 10;
}

}  // namespace

bool suits_tensor_cores(const ConvolutionProblem& p) {
  constexpr int64_t kMost = (int64_t{1} << 31) - 1;
  const int64_t rows = p.images * p.out_height * p.out_width;
  const bool sound = p.images > 0 && p.height > 0 && p.width > 0 && p.kernel_height > 0 &&
                     p.kernel_width > 0 && p.out_height > 0 && p.out_width > 0 && p.stride > 0 &&
                     p.pad_rows >= 0 && p.pad_rows < kFarAway && p.pad_columns >= 0 &&
                     p.pad_columns < kFarAway;
  return sound && p.in > 0 && p.in % kDepth == 0 && p.out > 0 && p.out % 2 == 0 && p.out <= kMaxGridY &&
         (p.height + p.kernel_height) * (p.width + p.kernel_width) * p.in <= kMost &&
         p.images * p.height * p.width * p.in <= kMost && (rows + kBlockRows) * p.out <= kMost &&
         p.kernel_height * p.kernel_width * p.in * p.out <= kMost && has_tensor_cores();
}

void convolve_rectified(const ConvolutionProblem& p, const float* x, const float* weight, const float* bias,
                        float* y, cudaStream_t stream) {
  if (!suits_tensor_cores(p)) {
    throw std::runtime_error("convolve_rectified: " + std::to_string(p.in) + " to " + std::to_string(p.out) +
                             " channels, " + std::to_string(p.images) + " images");
  }
  const auto number = [](int64_t n) { return static_cast<int>(n); };
  const Shape shape{.in = number(p.in),
                    .height = number(p.height),
                    .width = number(p.width),
                    .out = number(p.out),
                    .kernel_width = number(p.kernel_width),
                    .out_height = number(p.out_height),
                    .out_width = number(p.out_width),
                    .stride = number(p.stride),
                    .pad_rows = number(p.pad_rows),
                    .pad_columns = number(p.pad_columns),
                    .rows = number(p.images * p.out_height * p.out_width),
                    .depth = number(p.kernel_height * p.kernel_width * p.in)};
  const auto run = [&](auto launcher) { launcher(shape, x, weight, bias, y, stream); };
  switch (column_tiles(p.out)) {
    case 2:
      return run(launch<2>);
    case 3:
      return run(launch<3>);
    case 4:
      return run(launch<4>);
    case 5:
      return run(launch<5>);
    default:
      return run(launch<6>);
  }
}

}  // namespace ddpm_eval::tensor::cuda
