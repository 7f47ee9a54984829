#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

// What follows a convolution on the device, in one pass over memory, without LibTorch.
namespace ddpm_eval::tensor::cuda {

/// y += bias + residual for y [rows, columns] in float32 or bfloat16, in place. `bias` [columns] and
/// `residual` [rows, columns] are of the same type; either may be null. The sum is float32 and rounded once.
void add_bias(int64_t rows, int64_t columns, bool bfloat16, const void* bias, const void* residual, void* y,
              cudaStream_t stream);

}  // namespace ddpm_eval::tensor::cuda
