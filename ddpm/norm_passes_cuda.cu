#include "ddpm/norm_cuda.cuh"

#include <algorithm>
#include <bit>

// Sums per chunk of positions and channel, what they come to, and a pass over all numbers.
namespace ddpm_eval::ddpm::cuda::norm {
namespace {

constexpr int kColumnThreads = 256;
constexpr int kCombineThreads = 128;
constexpr int64_t kMaxGridY = 65535;

struct Shape {
  int64_t images;
  int64_t positions;
  int64_t channels;
  int64_t groups;
  int64_t group_size;
  int64_t chunk;   ///< positions in one
  int64_t chunks;  ///< of an image
};

Shape shape_of(const NormProblem& p) {
  constexpr int64_t kMinChunk = 64, kMaxChunks = 64;
  const int64_t chunk = std::max(kMinChunk, (p.positions + kMaxChunks - 1) / kMaxChunks);
  return {.images = p.images,
          .positions = p.positions,
          .channels = p.channels,
          .groups = p.groups,
          .group_size = p.channels / p.groups,
          .chunk = chunk,
          .chunks = (p.positions + chunk - 1) / chunk};
}

/// Adds up `Sums` numbers per channel over threadIdx.y and hands each to store(sum, channel of the block,
/// total). All threads of the block must call it.
template <int Sums, int Width, class Store>
__device__ __forceinline__ void sum_columns(const float (&values)[Sums][Width], const Store& store) {
  __shared__ float memory[Sums * Width * kColumnThreads];
  const int columns = blockDim.x, thread = threadIdx.y * columns + threadIdx.x;
#pragma unroll
  for (int q = 0; q < Sums; ++q) {
#pragma unroll
    for (int c = 0; c < Width; ++c) {
      memory[(q * Width + c) * kColumnThreads + thread] = values[q][c];
    }
  }
  __syncthreads();
  for (int i = thread; i < Sums * Width * columns; i += kColumnThreads) {
    const int kind = i / columns, column = i - kind * columns;
    float total = 0;
    for (int row = 0; row < static_cast<int>(blockDim.y); ++row) {
      total += memory[kind * kColumnThreads + row * columns + column];
    }
    store(kind / Width, column * Width + kind % Width, total);
  }
  __syncthreads();
}

/// partial [images][chunks][2][channels]: the mean of x + shift and the squares about it.
template <class Number, int Width>
__global__ void __launch_bounds__(kColumnThreads)
    partial_moments(Shape s, const typename Number::Stored* __restrict__ x, const float* __restrict__ shift,
                    float* __restrict__ partial) {
  const int64_t block_channel = static_cast<int64_t>(blockIdx.x) * blockDim.x * Width;
  const int64_t channel = block_channel + static_cast<int64_t>(threadIdx.x) * Width;
  const int64_t chunk = blockIdx.y, begin = chunk * s.chunk;
  const int64_t end = begin + s.chunk < s.positions ? begin + s.chunk : s.positions;
  for (int64_t image = blockIdx.z; image < s.images; image += gridDim.z) {
    const typename Number::Stored* own = x + image * s.positions * s.channels;
    float sums[2][Width] = {};
    if (channel < s.channels) {
      // About the first row: a mean far from zero costs no digits.
      float pivot[Width];
      load_vector<Number, Width>(own + begin * s.channels + channel, pivot);
#pragma unroll 4
      for (int64_t p = begin + threadIdx.y; p < end; p += blockDim.y) {
        float numbers[Width];
        load_vector<Number, Width>(own + p * s.channels + channel, numbers);
#pragma unroll
        for (int c = 0; c < Width; ++c) {
          const float difference = numbers[c] - pivot[c];
          sums[0][c] += difference;
          sums[1][c] += difference * difference;
        }
      }
    }
    float* to = partial + (image * s.chunks + chunk) * 2 * s.channels;
    sum_columns<2, Width>(sums, [&](int kind, int c, float total) {
      if (block_channel + c < s.channels) {
        to[kind * s.channels + block_channel + c] = total;
      }
    });
    // The sums become moments.
    const float n = static_cast<float>(end - begin);
    for (int c = threadIdx.y * blockDim.x + threadIdx.x; c < static_cast<int>(blockDim.x) * Width;
         c += kColumnThreads) {
      const int64_t i = block_channel + c;
      if (i < s.channels) {
        const float mean = to[i] / n;
        const float by = shift == nullptr ? 0.0F : shift[image * s.channels + i];
        to[s.channels + i] = fmaxf(0.0F, to[s.channels + i] - to[i] * mean);
        to[i] = Number::load(own[begin * s.channels + i]) + by + mean;
      }
    }
  }
}

/// The sum over the block, for all of its threads.
__device__ double sum_block(double value) {
  __shared__ double part[kCombineThreads / kWarp];
  for (int offset = kWarp / 2; offset > 0; offset >>= 1) {
    value += __shfl_xor_sync(0xFFFFFFFFU, value, offset);
  }
  if (threadIdx.x % kWarp == 0) {
    part[threadIdx.x / kWarp] = value;
  }
  __syncthreads();
  double total = 0;
  for (const double one : part) {
    total += one;
  }
  __syncthreads();
  return total;
}

/// A block an image and group.
__global__ void __launch_bounds__(kCombineThreads)
    combine_moments(Shape s, double eps, const float* __restrict__ partial, float* __restrict__ mean,
                    float* __restrict__ rstd) {
  const int64_t image = blockIdx.x / s.groups, group = blockIdx.x - image * s.groups;
  const float* own = partial + image * s.chunks * 2 * s.channels + group * s.group_size;
  const int64_t items = s.chunks * s.group_size;
  const double count = static_cast<double>(s.group_size) * static_cast<double>(s.positions);
  const auto weight = [&](int64_t chunk) {
    const int64_t rest = s.positions - chunk * s.chunk;
    return static_cast<double>(rest < s.chunk ? rest : s.chunk);
  };
  double total = 0;
  for (int64_t i = threadIdx.x; i < items; i += kCombineThreads) {
    const int64_t chunk = i / s.group_size, c = i - chunk * s.group_size;
    total += weight(chunk) * static_cast<double>(own[chunk * 2 * s.channels + c]);
  }
  const double m = sum_block(total) / count;
  double squares = 0;
  for (int64_t i = threadIdx.x; i < items; i += kCombineThreads) {
    const int64_t chunk = i / s.group_size, c = i - chunk * s.group_size;
    const float* at = own + chunk * 2 * s.channels + c;
    const double difference = static_cast<double>(at[0]) - m;
    squares += static_cast<double>(at[s.channels]) + weight(chunk) * difference * difference;
  }
  const double variance = sum_block(squares) / count;
  if (threadIdx.x == 0) {
    mean[blockIdx.x] = static_cast<float>(m);
    rstd[blockIdx.x] = static_cast<float>(1 / sqrt(variance + eps));
  }
}

/// A channel's part in what the passes do to x.
struct Affine {
  float center;
  float scale;
  float offset;
};

struct Affines {
  const float* weight;
  const float* bias;
  const float* shift;
  const float* mean;
  const float* rstd;

  __device__ __forceinline__ Affine of(const Shape& s, int64_t image, int64_t channel) const {
    const int64_t group = image * s.groups + channel / s.group_size;
    const float by = shift == nullptr ? 0.0F : shift[image * s.channels + channel];
    return {mean[group] - by, weight[channel] * rstd[group], bias[channel]};
  }
};

template <class Number, int Width, bool Swish>
__global__ void __launch_bounds__(kColumnThreads)
    apply_forward(Shape s, const typename Number::Stored* x, Affines affines, typename Number::Stored* y) {
  const int64_t size = s.positions * s.channels;
  const int64_t i = (static_cast<int64_t>(blockIdx.x) * kColumnThreads + threadIdx.x) * Width;
  if (i >= size) {
    return;
  }
  const int64_t channel = i % s.channels;
  for (int64_t image = blockIdx.y; image < s.images; image += gridDim.y) {
    float numbers[Width];
    load_vector<Number, Width>(x + image * size + i, numbers);
#pragma unroll
    for (int c = 0; c < Width; ++c) {
      const Affine a = affines.of(s, image, channel + c);
      numbers[c] = activate<Swish>((numbers[c] - a.center) * a.scale + a.offset);
    }
    store_vector<Number, Width>(numbers, y + image * size + i);
  }
}

/// partial [images][chunks][3][channels]: the sums of dz, dz x and x, where x is centred.
template <class Number, int Width, bool Swish>
__global__ void __launch_bounds__(kColumnThreads)
    partial_gradients(Shape s, const typename Number::Stored* __restrict__ x, Affines affines,
                      const typename Number::Stored* __restrict__ dy, float* __restrict__ partial) {
  const int64_t block_channel = static_cast<int64_t>(blockIdx.x) * blockDim.x * Width;
  const int64_t channel = block_channel + static_cast<int64_t>(threadIdx.x) * Width;
  const int64_t chunk = blockIdx.y, begin = chunk * s.chunk;
  const int64_t end = begin + s.chunk < s.positions ? begin + s.chunk : s.positions;
  for (int64_t image = blockIdx.z; image < s.images; image += gridDim.z) {
    const int64_t first = image * s.positions * s.channels + channel;
    float sums[3][Width] = {};
    if (channel < s.channels) {
      Affine affine[Width];
#pragma unroll
      for (int c = 0; c < Width; ++c) {
        affine[c] = affines.of(s, image, channel + c);
      }
#pragma unroll 2
      for (int64_t p = begin + threadIdx.y; p < end; p += blockDim.y) {
        float numbers[Width], gradient[Width];
        load_vector<Number, Width>(x + first + p * s.channels, numbers);
        load_vector<Number, Width>(dy + first + p * s.channels, gradient);
#pragma unroll
        for (int c = 0; c < Width; ++c) {
          const float value = numbers[c] - affine[c].center;
          const float dz = inner_gradient<Swish>(value * affine[c].scale + affine[c].offset, gradient[c]);
          sums[0][c] += dz;
          sums[1][c] += dz * value;
          sums[2][c] += value;
        }
      }
    }
    float* to = partial + (image * s.chunks + chunk) * 3 * s.channels;
    sum_columns<3, Width>(sums, [&](int kind, int c, float total) {
      if (block_channel + c < s.channels) {
        to[kind * s.channels + block_channel + c] = total;
      }
    });
  }
}

/// A block an image and group. `terms` [images][groups][2]: the constant and the slope in dx. The first chunk
/// of `partial` is overwritten.
__global__ void __launch_bounds__(kCombineThreads)
    combine_gradients(Shape s, const float* __restrict__ weight, const float* __restrict__ rstd,
                      float* partial, float* image_sums, float* terms, float* dshift) {
  const int64_t image = blockIdx.x / s.groups, group = blockIdx.x - image * s.groups;
  const int64_t first = group * s.group_size;
  float* own = partial + image * s.chunks * 3 * s.channels + first;
  const double count = static_cast<double>(s.group_size) * static_cast<double>(s.positions);
  const double r = rstd[blockIdx.x];
  double level = 0, slope = 0;
  for (int64_t c = threadIdx.x; c < s.group_size; c += kCombineThreads) {
    double totals[3] = {0, 0, 0};
    for (int64_t chunk = 0; chunk < s.chunks; ++chunk) {
#pragma unroll
      for (int q = 0; q < 3; ++q) {
        totals[q] += static_cast<double>(own[(chunk * 3 + q) * s.channels + c]);
      }
    }
    const double dz = totals[0], dz_x = totals[1] * r, w = weight[first + c];
    level += w * dz;
    slope += w * dz_x;
    image_sums[image * 2 * s.channels + first + c] = static_cast<float>(dz);
    image_sums[(image * 2 + 1) * s.channels + first + c] = static_cast<float>(dz_x);
    // Kept for below, where the same thread needs them.
    own[c] = static_cast<float>(dz);
    own[2 * s.channels + c] = static_cast<float>(totals[2] * r);
  }
  level = sum_block(level) / count;
  slope = sum_block(slope) / count;
  if (threadIdx.x == 0) {
    terms[2 * static_cast<int64_t>(blockIdx.x)] = static_cast<float>(level * r);
    terms[2 * static_cast<int64_t>(blockIdx.x) + 1] = static_cast<float>(slope * r * r);
  }
  if (dshift != nullptr) {
    for (int64_t c = threadIdx.x; c < s.group_size; c += kCombineThreads) {
      const double all = static_cast<double>(weight[first + c]) * static_cast<double>(own[c]) -
                         static_cast<double>(s.positions) * level -
                         slope * static_cast<double>(own[2 * s.channels + c]);
      dshift[image * s.channels + first + c] = static_cast<float>(all * r);
    }
  }
}

template <class Number, int Width, bool Swish>
__global__ void __launch_bounds__(kColumnThreads)
    apply_backward(Shape s, const typename Number::Stored* x, Affines affines,
                   const typename Number::Stored* dy, const float* __restrict__ terms,
                   typename Number::Stored* dx) {
  const int64_t size = s.positions * s.channels;
  const int64_t i = (static_cast<int64_t>(blockIdx.x) * kColumnThreads + threadIdx.x) * Width;
  if (i >= size) {
    return;
  }
  const int64_t channel = i % s.channels;
  for (int64_t image = blockIdx.y; image < s.images; image += gridDim.y) {
    float numbers[Width], gradient[Width];
    load_vector<Number, Width>(x + image * size + i, numbers);
    load_vector<Number, Width>(dy + image * size + i, gradient);
#pragma unroll
    for (int c = 0; c < Width; ++c) {
      const Affine a = affines.of(s, image, channel + c);
      const float* own = terms + 2 * (image * s.groups + (channel + c) / s.group_size);
      const float value = numbers[c] - a.center;
      const float dz = inner_gradient<Swish>(value * a.scale + a.offset, gradient[c]);
      numbers[c] = a.scale * dz - own[0] - own[1] * value;
    }
    store_vector<Number, Width>(numbers, dx + image * size + i);
  }
}

int64_t partial_floats(const Shape& s) { return 3 * s.images * s.chunks * s.channels; }

/// What sums over columns are launched with: x is a warp at most, over vectors of channels.
struct ColumnLaunch {
  dim3 grid;
  dim3 block;
};

ColumnLaunch column_launch(const Shape& s, int64_t width) {
  const int64_t vectors = (s.channels + width - 1) / width;
  const auto columns =
      std::min<int64_t>(kWarp, static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(vectors))));
  return {dim3(static_cast<unsigned>((vectors + columns - 1) / columns), static_cast<unsigned>(s.chunks),
               static_cast<unsigned>(std::min(s.images, kMaxGridY))),
          dim3(static_cast<unsigned>(columns), static_cast<unsigned>(kColumnThreads / columns))};
}

dim3 apply_grid(const Shape& s, int64_t width) {
  const int64_t vectors = s.positions * s.channels / width;
  return {static_cast<unsigned>((vectors + kColumnThreads - 1) / kColumnThreads),
          static_cast<unsigned>(std::min(s.images, kMaxGridY))};
}

template <class Number, int Width, bool Swish>
void forward(const NormProblem& problem, const Inputs& from, void* y, float* mean, float* rstd,
             float* scratch, cudaStream_t stream) {
  using Stored = typename Number::Stored;
  const Shape s = shape_of(problem);
  const auto* x = static_cast<const Stored*>(from.x);
  const Affines affines{from.weight, from.bias, from.shift, mean, rstd};
  const ColumnLaunch columns = column_launch(s, Width);
  partial_moments<Number, Width><<<columns.grid, columns.block, 0, stream>>>(s, x, from.shift, scratch);
  combine_moments<<<static_cast<unsigned>(s.images * s.groups), kCombineThreads, 0, stream>>>(
      s, problem.eps, scratch, mean, rstd);
  apply_forward<Number, Width, Swish>
      <<<apply_grid(s, Width), kColumnThreads, 0, stream>>>(s, x, affines, static_cast<Stored*>(y));
  check_launch("norm forward in passes");
}

template <class Number, int Width, bool Swish>
void backward(const NormProblem& problem, const Inputs& from, const float* mean, const float* rstd,
              const Gradients& into, float* scratch, cudaStream_t stream) {
  using Stored = typename Number::Stored;
  const Shape s = shape_of(problem);
  const auto* x = static_cast<const Stored*>(from.x);
  const auto* dy = static_cast<const Stored*>(into.dy);
  const Affines affines{from.weight, from.bias, from.shift, mean, rstd};
  float* terms = scratch + partial_floats(s);
  const ColumnLaunch columns = column_launch(s, Width);
  partial_gradients<Number, Width, Swish>
      <<<columns.grid, columns.block, 0, stream>>>(s, x, affines, dy, scratch);
  combine_gradients<<<static_cast<unsigned>(s.images * s.groups), kCombineThreads, 0, stream>>>(
      s, from.weight, rstd, scratch, into.image_sums, terms, into.shift);
  apply_backward<Number, Width, Swish><<<apply_grid(s, Width), kColumnThreads, 0, stream>>>(
      s, x, affines, dy, terms, static_cast<Stored*>(into.dx));
  check_launch("norm backward in passes");
}

}  // namespace

int64_t passes_scratch_floats(const NormProblem& problem) {
  const Shape s = shape_of(problem);
  return partial_floats(s) + 2 * s.images * s.groups;
}

void forward_in_passes(const NormProblem& problem, bool vectors, const Inputs& from, void* y, float* mean,
                       float* rstd, float* scratch, cudaStream_t stream) {
  with_types(problem, [&]<class Number, bool Swish>() {
    const auto pass = vectors ? forward<Number, Number::kVector, Swish> : forward<Number, 1, Swish>;
    pass(problem, from, y, mean, rstd, scratch, stream);
  });
}

void backward_in_passes(const NormProblem& problem, bool vectors, const Inputs& from, const float* mean,
                        const float* rstd, const Gradients& into, float* scratch, cudaStream_t stream) {
  with_types(problem, [&]<class Number, bool Swish>() {
    const auto pass = vectors ? backward<Number, Number::kVector, Swish> : backward<Number, 1, Swish>;
    pass(problem, from, mean, rstd, into, scratch, stream);
  });
}

}  // namespace ddpm_eval::ddpm::cuda::norm
