#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

namespace ddpm_eval::tensor::cuda {

/// How many floats of `scratch` column_sum needs.
int64_t column_sum_scratch_floats(int64_t rows, int64_t columns);

/// sums[c] = the sum over rows of x [rows][columns] on the device, in float32 and in an order that depends on
/// shape, dtype and alignment alone, so equal inputs give equal bits. It is the gradient of a convolution's
/// bias in channels-last order.
void column_sum(int64_t rows, int64_t columns, bool bfloat16, const void* x, float* sums, float* scratch,
                cudaStream_t stream);

}  // namespace ddpm_eval::tensor::cuda
