#pragma once

#include "base/tensor/launch.cuh"
#include "ddpm/norm_cuda.h"

#include <cstdint>

#include <cuda_bf16.h>

// What the ways of norm_cuda.cu to normalise share.
namespace ddpm_eval::ddpm::cuda::norm {

constexpr int kWarp = 32;

struct Inputs {
  const void* x;
  const float* weight;
  const float* bias;
  const float* shift;
};

struct Gradients {
  const void* dy;
  void* dx;
  float* image_sums;  ///< [images][2][channels]: over positions, what dbias and dweight are made of
  float* shift;
};

using tensor::cuda::check_launch;

/// Numbers in 32-bit words, four of which make a vector.
struct Float {
  using Stored = float;
  static constexpr int kPerWord = 1;
  static constexpr int kVector = 4;

  static __device__ __forceinline__ float get(uint32_t word, int) { return __uint_as_float(word); }
  static __device__ __forceinline__ uint32_t word(const float* numbers) {
    return __float_as_uint(numbers[0]);
  }
  static __device__ __forceinline__ float load(float x) { return x; }
  static __device__ __forceinline__ float round(float x) { return x; }
};

struct Bf16 {
  using Stored = __nv_bfloat16;
  static constexpr int kPerWord = 2;
  static constexpr int kVector = 8;

  static __device__ __forceinline__ float get(uint32_t word, int j) {
    return __uint_as_float(j == 0 ? word << 16 : word & 0xFFFF0000U);
  }
  static __device__ __forceinline__ uint32_t word(const float* numbers) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(numbers[0], numbers[1]);
    return *reinterpret_cast<const uint32_t*>(&pair);
  }
  static __device__ __forceinline__ float load(__nv_bfloat16 x) { return __bfloat162float(x); }
  static __device__ __forceinline__ __nv_bfloat16 round(float x) { return __float2bfloat16_rn(x); }
};

/// `Width` is 1 or a whole vector.
template <class Number, int Width>
__device__ __forceinline__ void load_vector(const typename Number::Stored* x, float (&numbers)[Width]) {
  if constexpr (Width == 1) {
    numbers[0] = Number::load(*x);
  } else {
    const uint4 vector = *reinterpret_cast<const uint4*>(x);
    const uint32_t words[4] = {vector.x, vector.y, vector.z, vector.w};
#pragma unroll
    for (int c = 0; c < Width; ++c) {
      numbers[c] = Number::get(words[c / Number::kPerWord], c % Number::kPerWord);
    }
  }
}

template <class Number, int Width>
__device__ __forceinline__ void store_vector(const float (&numbers)[Width], typename Number::Stored* y) {
  if constexpr (Width == 1) {
    *y = Number::round(numbers[0]);
  } else {
    uint32_t words[4];
#pragma unroll
    for (int w = 0; w < 4; ++w) {
      words[w] = Number::word(numbers + w * Number::kPerWord);
    }
    *reinterpret_cast<uint4*>(y) = uint4{words[0], words[1], words[2], words[3]};
  }
}

__device__ __forceinline__ float sigmoid(float z) { return __fdividef(1.0F, 1.0F + __expf(-z)); }

template <bool Swish>
__device__ __forceinline__ float activate(float z) {
  return Swish ? z * sigmoid(z) : z;
}

/// dy act'(z).
template <bool Swish>
__device__ __forceinline__ float inner_gradient(float z, float dy) {
  if constexpr (!Swish) {
    return dy;
  }
  const float s = sigmoid(z);
  return dy * (s * (1.0F + z * (1.0F - s)));
}

/// Calls `run` with the types of the kernels.
template <class Run>
void with_types(const NormProblem& problem, const Run& run) {
  if (problem.bfloat16) {
    problem.swish ? run.template operator()<Bf16, true>() : run.template operator()<Bf16, false>();
  } else {
    problem.swish ? run.template operator()<Float, true>() : run.template operator()<Float, false>();
  }
}

// Several passes over x, for every problem. `vectors`: rows are whole, aligned vectors.

int64_t passes_scratch_floats(const NormProblem& problem);
void forward_in_passes(const NormProblem& problem, bool vectors, const Inputs& from, void* y, float* mean,
                       float* rstd, float* scratch, cudaStream_t stream);
void backward_in_passes(const NormProblem& problem, bool vectors, const Inputs& from, const float* mean,
                        const float* rstd, const Gradients& into, float* scratch, cudaStream_t stream);

}  // namespace ddpm_eval::ddpm::cuda::norm
