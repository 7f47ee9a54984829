#include "base/tensor/launch.cuh"
#include "metrics/resample_cuda.h"

#include <algorithm>

namespace ddpm_eval::metrics::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kChannels = 3;

// The intrinsics of CUDA keep nvcc from fusing a product and a sum.

struct Tf1 {
  static __device__ __forceinline__ float value(uint8_t byte) { return static_cast<float>(byte); }
  static __device__ __forceinline__ float blend(float lo, float hi, float t) {
    return __fadd_rn(lo, __fmul_rn(__fsub_rn(hi, lo), t));
  }
};

struct HalfPixelOfBytes {
  static __device__ __forceinline__ float value(uint8_t byte) { return static_cast<float>(byte); }
  static __device__ __forceinline__ float blend(float lo, float hi, float t) {
    return __fadd_rn(__fmul_rn(__fsub_rn(1.0F, t), lo), __fmul_rn(t, hi));
  }
};

struct HalfPixel : HalfPixelOfBytes {
  static __device__ __forceinline__ float value(uint8_t byte) {
    return __fdiv_rn(static_cast<float>(byte), 255.0F);
  }
};

/// A thread makes a pixel: its three numbers are neighbours in memory, and those of the next thread follow.
template <class Rule>
__global__ void __launch_bounds__(kThreads)
    resample(BilinearProblem p, BilinearTaps rows, BilinearTaps columns, const uint8_t* __restrict__ images,
             float* __restrict__ out) {
  const int64_t pixels = p.count * p.out_height * p.out_width, plane = p.height * p.width;
  const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t pixel = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; pixel < pixels;
       pixel += step) {
    const int64_t column = pixel % p.out_width, rest = pixel / p.out_width;
    const int64_t row = rest % p.out_height, image = rest / p.out_height;
    const uint8_t* top = images + image * kChannels * plane + rows.lo[row] * p.width;
    const uint8_t* bottom = images + image * kChannels * plane + rows.hi[row] * p.width;
    const int32_t left = columns.lo[column], right = columns.hi[column];
    const float across = columns.t[column], down = rows.t[row];
#pragma unroll
    for (int c = 0; c < kChannels; ++c) {
      const float lo = Rule::blend(Rule::value(top[left]), Rule::value(top[right]), across);
      const float hi = Rule::blend(Rule::value(bottom[left]), Rule::value(bottom[right]), across);
      out[kChannels * pixel + c] = Rule::blend(lo, hi, down);
      top += plane;
      bottom += plane;
    }
  }
}

}  // namespace

void resample_bilinear(const BilinearProblem& p, const BilinearTaps& rows, const BilinearTaps& columns,
                       const uint8_t* images, float* out, cudaStream_t stream) {
  const int64_t pixels = p.count * p.out_height * p.out_width;
  if (pixels == 0) {
    return;
  }
  const auto blocks =
      static_cast<unsigned>(std::min<int64_t>(tensor::cuda::ceil_div(pixels, kThreads), 1 << 20));
  const auto kernel = p.rule == BilinearRule::kTf1         ? resample<Tf1>
                      : p.rule == BilinearRule::kHalfPixel ? resample<HalfPixel>
                                                           : resample<HalfPixelOfBytes>;
  kernel<<<blocks, kThreads, 0, stream>>>(p, rows, columns, images, out);
  tensor::cuda::check_launch("resample_bilinear");
}

}  // namespace ddpm_eval::metrics::cuda
