#include "base/tensor/column_sum_cuda.h"
#include "base/tensor/launch.cuh"

#include <algorithm>
#include <stdexcept>
#include <string>

#include <cuda_bf16.h>

namespace ddpm_eval::tensor::cuda {
namespace {

constexpr int kThreads = 256;
/// Of a row, that threads in a row take side by side: at most.
constexpr int64_t kMaxLanes = 32;
/// The threads of the second launch: a sector of each row of partials, by many rows.
constexpr int kSumColumns = 8;
constexpr int kSumRows = 64;

/// Rows in a chunk: enough work for a block, and no more blocks than fill the device a few times.
int64_t chunk_rows(int64_t rows, int64_t columns) {
  constexpr int64_t kMinNumbers = 8192, kBlocks = 1024, kBlockColumns = 256;
  const int64_t chunks = std::max<int64_t>(kBlocks / ceil_div(columns, kBlockColumns), 1);
  return std::max(ceil_div(kMinNumbers, columns), ceil_div(rows, chunks));
}

/// `Width` is 1 or makes 16 bytes.
template <class Stored, int Width>
__device__ __forceinline__ void add(const Stored* x, float (&sum)[Width]) {
  if constexpr (Width == 1) {
    sum[0] += static_cast<float>(*x);
  } else {
    const uint4 vector = *reinterpret_cast<const uint4*>(x);
    const uint32_t words[4] = {vector.x, vector.y, vector.z, vector.w};
#pragma unroll
    for (int w = 0; w < 4; ++w) {
      if constexpr (Width == 4) {
        sum[w] += __uint_as_float(words[w]);
      } else {
        sum[2 * w] += __uint_as_float(words[w] << 16);
        sum[2 * w + 1] += __uint_as_float(words[w] & 0xFFFF0000U);
      }
    }
  }
}

/// partial [chunks][columns]. Threads in rows of `lanes`, each with `Width` columns; the last few may idle.
template <class Stored, int Width>
__global__ void __launch_bounds__(kThreads)
    sum_chunks(int64_t rows, int64_t columns, int64_t chunk, int lanes, const Stored* __restrict__ x,
               float* __restrict__ partial) {
  __shared__ float part[Width][kThreads];
  const int thread_rows = kThreads / lanes;
  const int row = threadIdx.x / lanes, lane = threadIdx.x - row * lanes;
  const int64_t column = (static_cast<int64_t>(blockIdx.x) * lanes + lane) * Width;
  const int64_t begin = blockIdx.y * chunk, end = begin + chunk < rows ? begin + chunk : rows;
  float sum[Width] = {};
  if (row < thread_rows && column < columns) {
#pragma unroll 4
    for (int64_t r = begin + row; r < end; r += thread_rows) {
      add<Stored, Width>(x + r * columns + column, sum);
    }
  }
#pragma unroll
  for (int c = 0; c < Width; ++c) {
    part[c][threadIdx.x] = sum[c];
  }
  __syncthreads();
  for (int left = thread_rows; left > 1;) {
    const int half = (left + 1) / 2;
    if (row + half < left) {
#pragma unroll
      for (int c = 0; c < Width; ++c) {
        part[c][threadIdx.x] += part[c][threadIdx.x + half * lanes];
      }
    }
    left = half;
    __syncthreads();
  }
  if (row == 0 && column < columns) {
#pragma unroll
    for (int c = 0; c < Width; ++c) {
      partial[blockIdx.y * columns + column + c] = part[c][threadIdx.x];
    }
  }
}

__global__ void __launch_bounds__(kSumColumns* kSumRows)
    sum_partials(int64_t chunks, int64_t columns, const float* __restrict__ partial,
                 float* __restrict__ sums) {
  __shared__ float part[kSumRows][kSumColumns];
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kSumColumns + threadIdx.x;
  float sum = 0;
  if (column < columns) {
#pragma unroll 8
    for (int64_t chunk = threadIdx.y; chunk < chunks; chunk += kSumRows) {
      sum += partial[chunk * columns + column];
    }
  }
  part[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  for (int half = kSumRows / 2; half > 0; half /= 2) {
    if (static_cast<int>(threadIdx.y) < half) {
      part[threadIdx.y][threadIdx.x] += part[threadIdx.y + half][threadIdx.x];
    }
    __syncthreads();
  }
  if (threadIdx.y == 0 && column < columns) {
    sums[column] = part[0][threadIdx.x];
  }
}

template <class Stored, int Width>
void launch_chunks(int64_t rows, int64_t columns, const void* x, float* partial, cudaStream_t stream) {
  const int64_t chunk = chunk_rows(rows, columns);
  const int64_t vectors = columns / Width, tiles = ceil_div(vectors, kMaxLanes);
  const dim3 grid(static_cast<unsigned>(tiles), static_cast<unsigned>(ceil_div(rows, chunk)));
  sum_chunks<Stored, Width><<<grid, kThreads, 0, stream>>>(rows, columns, chunk,
                                                           static_cast<int>(ceil_div(vectors, tiles)),
                                                           static_cast<const Stored*>(x), partial);
  check_launch("sum_chunks");
}

}  // namespace

int64_t column_sum_scratch_floats(int64_t rows, int64_t columns) {
  if (rows < 1 || columns < 1) {
    throw std::runtime_error("column_sum: [" + std::to_string(rows) + "][" + std::to_string(columns) + "]");
  }
  return ceil_div(rows, chunk_rows(rows, columns)) * columns;
}

void column_sum(int64_t rows, int64_t columns, bool bfloat16, const void* x, float* sums, float* scratch,
                cudaStream_t stream) {
  const int64_t chunks = column_sum_scratch_floats(rows, columns) / columns;
  const bool vectors = columns % 8 == 0 && reinterpret_cast<uintptr_t>(x) % 16 == 0;
  const auto launch = bfloat16 ? (vectors ? launch_chunks<__nv_bfloat16, 8> : launch_chunks<__nv_bfloat16, 1>)
                               : (vectors ? launch_chunks<float, 4> : launch_chunks<float, 1>);
  launch(rows, columns, x, scratch, stream);
  sum_partials<<<static_cast<unsigned>(ceil_div(columns, kSumColumns)), dim3(kSumColumns, kSumRows), 0,
                 stream>>>(chunks, columns, scratch, sums);
  check_launch("sum_partials");
}

}  // namespace ddpm_eval::tensor::cuda
