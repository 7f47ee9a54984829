#include "base/tensor/launch.cuh"
#include "base/training/update_cuda.h"

namespace ddpm_eval::training::cuda {
namespace {

using tensor::cuda::check_launch;

constexpr int kThreads = 512;

/// Calls element(i) or, where `fours`, four(i) for each group of four and element(i) for the rest.
template <class Four, class Element>
__device__ __forceinline__ void for_each(int64_t count, bool fours, const Four& four,
                                         const Element& element) {
  const int64_t groups = fours ? count / 4 : 0;
  for (int64_t i = threadIdx.x; i < groups; i += blockDim.x) {
    four(i);
  }
  for (int64_t i = 4 * groups + threadIdx.x; i < count; i += blockDim.x) {
    element(i);
  }
}

template <class... Pointers>
__device__ __forceinline__ bool aligned(const Pointers*... pointers) {
  return ((reinterpret_cast<uintptr_t>(pointers) | ...) & 15) == 0;
}

__device__ __forceinline__ void adam_one(float& parameter, float grad, float& exp_avg, float& exp_avg_sq,
                                         const detail::AdamCoefficients<float>& c) {
  const float g = grad * c.grad_scale;
  exp_avg = c.beta1 * exp_avg + c.one_minus_beta1 * g;
  exp_avg_sq = c.beta2 * exp_avg_sq + c.one_minus_beta2 * (g * g);
  parameter = c.keep * parameter - c.step_size * (exp_avg / (sqrtf(exp_avg_sq) * c.inverse_root_bc2 + c.eps));
}

__global__ void __launch_bounds__(kThreads)
    adam_arrays(const AdamArrays* arrays, detail::AdamCoefficients<float> c) {
  const AdamArrays a = arrays[blockIdx.x];
  for_each(
      a.count, aligned(a.parameter, a.grad, a.exp_avg, a.exp_avg_sq),
      [&](int64_t i) {
        float4 p = reinterpret_cast<float4*>(a.parameter)[i], m = reinterpret_cast<float4*>(a.exp_avg)[i],
               v = reinterpret_cast<float4*>(a.exp_avg_sq)[i];
        const float4 g = reinterpret_cast<const float4*>(a.grad)[i];
        adam_one(p.x, g.x, m.x, v.x, c);
        adam_one(p.y, g.y, m.y, v.y, c);
        adam_one(p.z, g.z, m.z, v.z, c);
        adam_one(p.w, g.w, m.w, v.w, c);
        reinterpret_cast<float4*>(a.parameter)[i] = p;
        reinterpret_cast<float4*>(a.exp_avg)[i] = m;
        reinterpret_cast<float4*>(a.exp_avg_sq)[i] = v;
      },
      [&](int64_t i) { adam_one(a.parameter[i], a.grad[i], a.exp_avg[i], a.exp_avg_sq[i], c); });
}

/// From the nearer end, so that a weight of 1 gives the value itself.
__device__ __forceinline__ float moved(float average, float value, float weight) {
  return weight < 0.5F ? average + weight * (value - average) : value - (value - average) * (1.0F - weight);
}

__global__ void __launch_bounds__(kThreads) average_arrays(const AverageArrays* arrays, float weight) {
  const AverageArrays a = arrays[blockIdx.x];
  for_each(
      a.count, aligned(a.average, a.value),
      [&](int64_t i) {
        float4 average = reinterpret_cast<float4*>(a.average)[i];
        const float4 value = reinterpret_cast<const float4*>(a.value)[i];
        average = {moved(average.x, value.x, weight), moved(average.y, value.y, weight),
                   moved(average.z, value.z, weight), moved(average.w, value.w, weight)};
        reinterpret_cast<float4*>(a.average)[i] = average;
      },
      [&](int64_t i) { a.average[i] = moved(a.average[i], a.value[i], weight); });
}

__device__ __forceinline__ double square(float x) { return static_cast<double>(x) * static_cast<double>(x); }

__global__ void __launch_bounds__(kThreads) square_arrays(const NormArrays* arrays, double* sums) {
  const NormArrays a = arrays[blockIdx.x];
  double sum = 0;
  for_each(
      a.count, aligned(a.values),
      [&](int64_t i) {
        const float4 x = reinterpret_cast<const float4*>(a.values)[i];
        sum += (square(x.x) + square(x.y)) + (square(x.z) + square(x.w));
      },
      [&](int64_t i) { sum += square(a.values[i]); });
  __shared__ double parts[kThreads];
  parts[threadIdx.x] = sum;
  for (int half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (static_cast<int>(threadIdx.x) < half) {
      parts[threadIdx.x] += parts[threadIdx.x + half];
    }
  }
  if (threadIdx.x == 0) {
    sums[blockIdx.x] = parts[0];
  }
}

}  // namespace

void adam(const AdamArrays* arrays, int64_t number, const detail::AdamCoefficients<float>& coefficients,
          cudaStream_t stream) {
  if (number > 0) {
    adam_arrays<<<static_cast<unsigned>(number), kThreads, 0, stream>>>(arrays, coefficients);
    check_launch("adam");
  }
}

void average(const AverageArrays* arrays, int64_t number, float weight, cudaStream_t stream) {
  if (number > 0) {
    average_arrays<<<static_cast<unsigned>(number), kThreads, 0, stream>>>(arrays, weight);
    check_launch("average");
  }
}

void sums_of_squares(const NormArrays* arrays, int64_t number, double* sums, cudaStream_t stream) {
  if (number > 0) {
    square_arrays<<<static_cast<unsigned>(number), kThreads, 0, stream>>>(arrays, sums);
    check_launch("sums_of_squares");
  }
}

}  // namespace ddpm_eval::training::cuda
