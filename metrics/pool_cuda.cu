#include "base/tensor/launch.cuh"
#include "metrics/pool_cuda.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

// A thread walks along the width of a map with the sums (or maxima) of the last columns of three numbers, so
// that it loads a number three times at most and not nine. It is there for one channel or four: the numbers
// of neighbouring threads are neighbours in memory.
namespace ddpm_eval::metrics::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWindow = 3;
/// Outputs that a thread walks at most: more threads fill the device better, and each loads two lines more.
constexpr int kStretch = 16;

template <int Width>
struct Numbers {
  float values[Width];
};

template <int Width>
__device__ __forceinline__ Numbers<Width> load(const float* x) {
  Numbers<Width> loaded;
  if constexpr (Width == 4) {
    const float4 vector = *reinterpret_cast<const float4*>(x);
    loaded.values[0] = vector.x;
    loaded.values[1] = vector.y;
    loaded.values[2] = vector.z;
    loaded.values[3] = vector.w;
  } else {
    loaded.values[0] = *x;
  }
  return loaded;
}

template <int Width>
__device__ __forceinline__ void store(float* y, const Numbers<Width>& stored) {
  if constexpr (Width == 4) {
    *reinterpret_cast<float4*>(y) =
        make_float4(stored.values[0], stored.values[1], stored.values[2], stored.values[3]);
  } else {
    *y = stored.values[0];
  }
}

struct Average {
  static constexpr int kStride = 1, kBorder = 1;
  static __device__ __forceinline__ float empty() { return 0.0F; }
  static __device__ __forceinline__ float join(float a, float b) { return a + b; }
  static __device__ __forceinline__ float finish(float sum, int count) {
    return sum / static_cast<float>(count);
  }
};

template <int Stride, int Border>
struct Max {
  static constexpr int kStride = Stride, kBorder = Border;
  static __device__ __forceinline__ float empty() { return -INFINITY; }
  /// No comparison with NaN is true, so `a` stays if it is one.
  static __device__ __forceinline__ float join(float a, float b) { return b > a || b != b ? b : a; }
  static __device__ __forceinline__ float finish(float max, int) { return max; }
};

/// One axis of a map: positions before and after, and from one to the next in memory.
struct Axis {
  int in = 0;
  int out = 0;
  int in_step = 0;
  int out_step = 0;
};

template <class Rule, int Width>
__device__ __forceinline__ Numbers<Width> joined(Numbers<Width> a, const Numbers<Width>& b) {
#pragma unroll
  for (int w = 0; w < Width; ++w) {
    a.values[w] = Rule::join(a.values[w], b.values[w]);
  }
  return a;
}

/// The three numbers from `first` on across the walk, at `position` of it, as far as they are inside.
template <class Rule, int Width>
__device__ __forceinline__ Numbers<Width> line(const float* x, const Axis& along, const Axis& across,
                                               int position, int first) {
  Numbers<Width> result;
#pragma unroll
  for (int w = 0; w < Width; ++w) {
    result.values[w] = Rule::empty();
  }
  if (position >= 0 && position < along.in) {
    const float* at = x + position * along.in_step;
#pragma unroll
    for (int k = 0; k < kWindow; ++k) {
      if (first + k >= 0 && first + k < across.in) {
        result = joined<Rule, Width>(result, load<Width>(at + (first + k) * across.in_step));
      }
    }
  }
  return result;
}

/// Of the `size` positions of an axis how many a window sees that begins at `first`.
__device__ __forceinline__ int inside(int first, int size) {
  return min(first + kWindow, size) - max(first, 0);
}

/// Outputs `begin` to `end` of the walk, all at `place` across it.
template <class Rule, int Width>
__device__ __forceinline__ void walk(const float* x, float* y, const Axis& along, const Axis& across,
                                     int place, int begin, int end) {
  constexpr int kKept = kWindow - Rule::kStride;  // lines that the next window sees too
  const int first = place * Rule::kStride - Rule::kBorder;
  const int rows = inside(first, across.in);
  const auto line_at = [&](int position) { return line<Rule, Width>(x, along, across, position, first); };
  Numbers<Width> lines[kWindow];
  const int start = begin * Rule::kStride - Rule::kBorder;
#pragma unroll
  for (int k = 0; k < kKept; ++k) {
    lines[k] = line_at(start + k);
  }
  for (int o = begin; o < end; ++o) {
    const int position = o * Rule::kStride - Rule::kBorder;
#pragma unroll
    for (int k = kKept; k < kWindow; ++k) {
      lines[k] = line_at(position + k);
    }
    Numbers<Width> all = joined<Rule, Width>(joined<Rule, Width>(lines[0], lines[1]), lines[2]);
    const int count = rows * inside(position, along.in);
#pragma unroll
    for (int w = 0; w < Width; ++w) {
      all.values[w] = Rule::finish(all.values[w], count);
    }
    store<Width>(y + o * along.out_step + place * across.out_step, all);
#pragma unroll
    for (int k = 0; k < kKept; ++k) {
      lines[k] = lines[k + Rule::kStride];
    }
  }
}

/// How the threads of a launch share its maps.
struct Work {
  int threads = 0;    ///< of the launch
  int stretches = 0;  ///< of a walk
  int stretch = 0;    ///< outputs in one, the last has fewer
  int lanes = 0;      ///< threads in a row that take neighbouring numbers: vectors of channels
  int in_map = 0;     ///< numbers from one image to the next
  int out_map = 0;
};

template <class Rule, int Width>
__global__ void __launch_bounds__(kThreads)
    pool_maps(Work work, Axis x_axis, Axis y_axis, const float* __restrict__ x, float* __restrict__ y) {
  int rest = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  if (rest >= work.threads) {
    return;
  }
  const int channel = rest % work.lanes * Width;
  rest /= work.lanes;
  const int begin = rest % work.stretches * work.stretch;
  rest /= work.stretches;
  const int row = rest % y_axis.out, image = rest / y_axis.out;
  walk<Rule, Width>(x + image * work.in_map + channel, y + image * work.out_map + channel, x_axis, y_axis,
                    row, begin, min(begin + work.stretch, x_axis.out));
}

using tensor::cuda::ceil_div;

/// `images` at most as many as have kMaxPoolNumbers numbers together.
template <class Rule>
void launch(const PoolProblem& p, int64_t images, const float* x, float* y, cudaStream_t stream) {
  const int64_t height = pooled_side(p.kind, p.height), width = pooled_side(p.kind, p.width);
  const auto axis = [](int64_t in, int64_t out, int64_t in_step, int64_t out_step) {
    return Axis{static_cast<int>(in), static_cast<int>(out), static_cast<int>(in_step),
                static_cast<int>(out_step)};
  };
  const Axis x_axis = axis(p.width, width, p.channels, p.channels);
  const Axis y_axis = axis(p.height, height, p.width * p.channels, width * p.channels);
  const bool aligned = (reinterpret_cast<uintptr_t>(x) | reinterpret_cast<uintptr_t>(y)) % 16 == 0;
  const bool vectors = p.channels % 4 == 0 && aligned;
  const int64_t stretches = ceil_div(width, kStretch);
  const int64_t lanes = vectors ? p.channels / 4 : p.channels;
  Work work;
  work.threads = static_cast<int>(images * height * stretches * lanes);
  work.stretches = static_cast<int>(stretches);
  work.stretch = static_cast<int>(ceil_div(width, stretches));
  work.lanes = static_cast<int>(lanes);
  work.in_map = static_cast<int>(p.height * p.width * p.channels);
  work.out_map = static_cast<int>(height * width * p.channels);
  const auto blocks = static_cast<unsigned>(ceil_div(work.threads, kThreads));
  const auto kernel = vectors ? pool_maps<Rule, 4> : pool_maps<Rule, 1>;
  kernel<<<blocks, kThreads, 0, stream>>>(work, x_axis, y_axis, x, y);
  tensor::cuda::check_launch("pool_maps");
}

}  // namespace

int64_t pooled_side(PoolKind kind, int64_t side) {
  return kind == PoolKind::kMaxStride2 ? (side - kWindow) / 2 + 1 : side;
}

void pool(const PoolProblem& problem, const float* x, float* out, cudaStream_t stream) {
  const PoolProblem& p = problem;
  const int64_t least = p.kind == PoolKind::kMaxStride2 ? kWindow : 1;
  const int64_t numbers = p.channels * p.height * p.width;
  if (p.images < 0 || p.channels < 1 || p.height < least || p.width < least || numbers > kMaxPoolNumbers) {
    throw std::runtime_error("pool: [" + std::to_string(p.images) + "][" + std::to_string(p.channels) + "][" +
                             std::to_string(p.height) + "][" + std::to_string(p.width) + "]");
  }
  const int64_t pooled = p.channels * pooled_side(p.kind, p.height) * pooled_side(p.kind, p.width);
  const int64_t at_once = kMaxPoolNumbers / numbers;
  const auto run = p.kind == PoolKind::kAverage ? launch<Average>
                   : p.kind == PoolKind::kMax   ? launch<Max<1, 1>>
                                                : launch<Max<2, 0>>;
  for (int64_t begin = 0; begin < p.images; begin += at_once) {
    run(p, std::min(at_once, p.images - begin), x + begin * numbers, out + begin * pooled, stream);
  }
}

}  // namespace ddpm_eval::metrics::cuda
