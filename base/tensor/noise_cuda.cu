#include "base/tensor/launch.cuh"
#include "base/tensor/noise_cuda.h"
#include "base/tensor/philox.cuh"

#include <algorithm>

namespace ddpm_eval::tensor::cuda {
namespace {

constexpr int64_t kThreads = 256;
constexpr float kTwoPi = 2.0F * 3.14159265358979F;  // rounded as in noise.cpp

/// Box-Muller on the pairs (x, y) and (z, w), as normal_rows in noise.cpp.
__device__ __forceinline__ float2 normal_pair(uint32_t first, uint32_t second) {
  // u in (0, 1]: the logarithm stays finite.
  const float u = (static_cast<float>(first >> 8) + 1.0F) * 0x1p-24F;
  const float angle = kTwoPi * uniform01(second);
  const float radius = sqrtf(-2.0F * logf(u));
  float sine, cosine;
  sincosf(angle, &sine, &cosine);
  return {radius * cosine, radius * sine};
}

__device__ __forceinline__ float4 normal_numbers(uint4 words) {
  const float2 first = normal_pair(words.x, words.y), second = normal_pair(words.z, words.w);
  return {first.x, first.y, second.x, second.y};
}

/// A thread a block of four words. `Whole`: every row is whole, aligned float4s.
template <bool Whole>
__global__ void __launch_bounds__(kThreads)
    fill_rows(uint64_t key, const int64_t* __restrict__ indices, int64_t rows, int64_t length, uint32_t step,
              float* __restrict__ to) {
  const int64_t block = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const int64_t begin = 4 * block;
  if (begin >= length) {
    return;
  }
  for (int64_t r = blockIdx.y; r < rows; r += gridDim.y) {
    const float4 numbers = normal_numbers(
        philox_block(key, static_cast<uint64_t>(indices[r]), step, static_cast<uint32_t>(block)));
    float* row = to + r * length + begin;
    if constexpr (Whole) {
      *reinterpret_cast<float4*>(row) = numbers;
    } else {
      const int64_t count = length - begin;
      row[0] = numbers.x;
      if (count > 1) {
        row[1] = numbers.y;
      }
      if (count > 2) {
        row[2] = numbers.z;
      }
      if (count > 3) {
        row[3] = numbers.w;
      }
    }
  }
}

}  // namespace

void normal_rows(uint64_t key, const int64_t* indices, int64_t rows, int64_t length, int64_t step, float* to,
                 cudaStream_t stream) {
  check_stream("normal_rows", step, length);
  if (rows <= 0 || length <= 0) {
    return;
  }
  const int64_t blocks = (length + 3) / 4;
  // Whole warps, no more than a short row needs.
  const int64_t threads = std::min(kThreads, (blocks + 31) / 32 * 32);
  const dim3 grid(static_cast<unsigned>((blocks + threads - 1) / threads),
                  static_cast<unsigned>(std::min(rows, kMaxGridY)));
  const bool whole = length % 4 == 0 && reinterpret_cast<uintptr_t>(to) % 16 == 0;
  const auto kernel = whole ? fill_rows<true> : fill_rows<false>;
  kernel<<<grid, static_cast<unsigned>(threads), 0, stream>>>(key, indices, rows, length,
                                                              static_cast<uint32_t>(step), to);
  check_launch("normal_rows");
}

}  // namespace ddpm_eval::tensor::cuda
