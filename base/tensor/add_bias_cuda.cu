#include "base/tensor/add_bias_cuda.h"
#include "base/tensor/launch.cuh"

#include <algorithm>

#include <cuda_bf16.h>

namespace ddpm_eval::tensor::cuda {
namespace {

constexpr int64_t kThreads = 256;
constexpr int64_t kRowsPerThread = 4;

template <class Number, int Width>
struct alignas(sizeof(Number) * Width) Vector {
  Number of[Width];
};

/// A thread goes down a few rows at the same `Width` columns. Null pointers count as zeros.
template <class Number, int Width>
__global__ void __launch_bounds__(kThreads)
    add_rows(int64_t rows, int64_t columns, const Number* __restrict__ bias,
             const Number* __restrict__ residual, Number* __restrict__ y) {
  using Numbers = Vector<Number, Width>;
  for (int64_t column = Width * threadIdx.x; column < columns; column += Width * blockDim.x) {
    float shift[Width];
#pragma unroll
    for (int i = 0; i < Width; ++i) {
      shift[i] = bias == nullptr ? 0.0F : static_cast<float>(bias[column + i]);
    }
    const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.y;
#pragma unroll 4
    for (int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y; row < rows; row += step) {
      const int64_t at = row * columns + column;
      Numbers sum = *reinterpret_cast<const Numbers*>(y + at);
      Numbers other;
      if (residual != nullptr) {
        other = *reinterpret_cast<const Numbers*>(residual + at);
      }
#pragma unroll
      for (int i = 0; i < Width; ++i) {
        float total = static_cast<float>(sum.of[i]) + shift[i];
        if (residual != nullptr) {
          total += static_cast<float>(other.of[i]);
        }
        sum.of[i] = static_cast<Number>(total);
      }
      *reinterpret_cast<Numbers*>(y + at) = sum;
    }
  }
}

template <class Number>
void launch(int64_t rows, int64_t columns, const void* bias, const void* residual, void* y,
            cudaStream_t stream) {
  constexpr int kWidth = 16 / sizeof(Number);
  const bool whole = columns % kWidth == 0 &&
                     ((reinterpret_cast<uintptr_t>(residual) | reinterpret_cast<uintptr_t>(y)) & 15) == 0;
  const int64_t lanes = std::min<int64_t>(whole ? columns / kWidth : columns, 32);
  const int64_t down = kThreads / lanes;
  const int64_t blocks = std::max<int64_t>(1, (rows + down * kRowsPerThread - 1) / (down * kRowsPerThread));
  const dim3 threads(static_cast<unsigned>(lanes), static_cast<unsigned>(down));
  const auto kernel = whole ? add_rows<Number, kWidth> : add_rows<Number, 1>;
  kernel<<<static_cast<unsigned>(std::min<int64_t>(blocks, 1 << 20)), threads, 0, stream>>>(
      rows, columns, static_cast<const Number*>(bias), static_cast<const Number*>(residual),
      static_cast<Number*>(y));
  check_launch("add_bias");
}

}  // namespace

void add_bias(int64_t rows, int64_t columns, bool bfloat16, const void* bias, const void* residual, void* y,
              cudaStream_t stream) {
  if (rows > 0 && columns > 0) {
    (bfloat16 ? launch<__nv_bfloat16> : launch<float>)(rows, columns, bias, residual, y, stream);
  }
}

}  // namespace ddpm_eval::tensor::cuda
