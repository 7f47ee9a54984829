#include "base/tensor/launch.cuh"
#include "base/tensor/philox.cuh"
#include "ddpm/dropout_cuda.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include <cuda_bf16.h>

namespace ddpm_eval::ddpm::cuda {
namespace {

using tensor::cuda::kMaxGridY, tensor::cuda::philox_block;

constexpr int64_t kThreads = 256;

__device__ __forceinline__ float scaled(float x, float factor) { return x * factor; }

__device__ __forceinline__ __nv_bfloat16 scaled(__nv_bfloat16 x, float factor) {
  return __float2bfloat16_rn(__bfloat162float(x) * factor);
}

/// A thread 16 bytes: one or two blocks of words. `Whole`: every row is whole, aligned vectors. x and y may
/// be the same.
template <class Number, bool Whole>
__global__ void __launch_bounds__(kThreads)
    scale_kept(uint64_t key, const int64_t* __restrict__ place, int64_t rows, int64_t length, uint32_t limit,
               float factor, const Number* x, Number* y) {
  constexpr int kVector = 16 / sizeof(Number);
  struct alignas(16) Vector {
    Number of[kVector];
  };
  const int64_t vector = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const int64_t begin = vector * kVector;
  if (begin >= length) {
    return;
  }
  const int64_t first_row = place[0];
  const auto step = static_cast<uint32_t>(place[1]);
  for (int64_t r = blockIdx.y; r < rows; r += gridDim.y) {
    const int64_t at = r * length + begin;
    Vector numbers;
    if constexpr (Whole) {
      *reinterpret_cast<uint4*>(&numbers) = *reinterpret_cast<const uint4*>(x + at);
    } else {
#pragma unroll
      for (int i = 0; i < kVector; ++i) {
        numbers.of[i] = begin + i < length ? x[at + i] : Number(0.0F);
      }
    }
#pragma unroll
    for (int b = 0; b < kVector / 4; ++b) {
      const uint4 words = philox_block(key, static_cast<uint64_t>(first_row + r), step,
                                       static_cast<uint32_t>(vector * (kVector / 4) + b));
      Number* four = numbers.of + 4 * b;
      four[0] = words.x >= limit ? scaled(four[0], factor) : Number(0.0F);
      four[1] = words.y >= limit ? scaled(four[1], factor) : Number(0.0F);
      four[2] = words.z >= limit ? scaled(four[2], factor) : Number(0.0F);
      four[3] = words.w >= limit ? scaled(four[3], factor) : Number(0.0F);
    }
    if constexpr (Whole) {
      *reinterpret_cast<uint4*>(y + at) = *reinterpret_cast<const uint4*>(&numbers);
    } else {
#pragma unroll
      for (int i = 0; i < kVector; ++i) {
        if (begin + i < length) {
          y[at + i] = numbers.of[i];
        }
      }
    }
  }
}

template <class Number>
void run(uint64_t key, const int64_t* place, int64_t rows, int64_t length, double rate, const void* x,
         void* y, cudaStream_t stream) {
  constexpr int64_t kVector = 16 / sizeof(Number);
  // uniform01(word) >= rate, in integers: both sides times 2^24 are exact.
  const auto limit = static_cast<uint32_t>(std::ceil(static_cast<float>(rate) * 0x1p24F)) << 8;
  const auto factor = static_cast<float>(1 / (1 - rate));
  const int64_t vectors = (length + kVector - 1) / kVector;
  const int64_t threads = std::min(kThreads, (vectors + 31) / 32 * 32);
  const dim3 grid(static_cast<unsigned>((vectors + threads - 1) / threads),
                  static_cast<unsigned>(std::min(rows, kMaxGridY)));
  const bool aligned = (reinterpret_cast<uintptr_t>(x) | reinterpret_cast<uintptr_t>(y)) % 16 == 0;
  const auto* from = static_cast<const Number*>(x);
  auto* to = static_cast<Number*>(y);
  if (aligned && length % kVector == 0) {
    scale_kept<Number, true><<<grid, static_cast<unsigned>(threads), 0, stream>>>(key, place, rows, length,
                                                                                  limit, factor, from, to);
  } else {
    scale_kept<Number, false><<<grid, static_cast<unsigned>(threads), 0, stream>>>(key, place, rows, length,
                                                                                   limit, factor, from, to);
  }
  tensor::cuda::check_launch("dropout");
}

}  // namespace

void dropout(uint64_t key, const int64_t* place, int64_t rows, int64_t length, double rate, bool bfloat16,
             const void* x, void* y, cudaStream_t stream) {
  tensor::cuda::check_stream("dropout", /*step=*/0, length);
  if (!(rate >= 0 && static_cast<float>(rate) < 1)) {
    throw std::runtime_error("dropout: rate " + std::to_string(rate) + " is out of range");
  }
  if (rows <= 0 || length <= 0) {
    return;
  }
  const auto launch = bfloat16 ? run<__nv_bfloat16> : run<float>;
  launch(key, place, rows, length, rate, x, y, stream);
}

}  // namespace ddpm_eval::ddpm::cuda
