#pragma once

#include "base/training/adam_kernel.h"

#include <cstdint>

#include <cuda_runtime_api.h>

// The loops of adam_kernel.h on the device, many arrays at a time, without LibTorch. Lists of arrays are
// device memory; each array is walked by one block of threads, so that long ones are to be cut.
namespace ddpm_eval::training::cuda {

struct AdamArrays {
  float* parameter;
  const float* grad;
  float* exp_avg;
  float* exp_avg_sq;
  int64_t count;
};

struct AverageArrays {
  float* average;
  const float* value;
  int64_t count;
};

struct NormArrays {
  const float* values;
  int64_t count;
};

/// detail::adam_block() on each; products and sums are fused, which rounds once.
void adam(const AdamArrays* arrays, int64_t number, const detail::AdamCoefficients<float>& coefficients,
          cudaStream_t stream);

/// detail::average_block() on each.
void average(const AverageArrays* arrays, int64_t number, float weight, cudaStream_t stream);

/// The sum of squares of each in float64, in an order that does not change: `sums` [number].
void sums_of_squares(const NormArrays* arrays, int64_t number, double* sums, cudaStream_t stream);

}  // namespace ddpm_eval::training::cuda
