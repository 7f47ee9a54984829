#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

// The numbers of base/tensor/noise.h made on the device, without LibTorch.
namespace ddpm_eval::tensor::cuda {

/// normal_rows() of noise.h, within 5e-6. `key` is core::stream_key(seed, purpose); `indices` [rows] and `to`
/// [rows, length] are device memory. Queued on `stream`.
void normal_rows(uint64_t key, const int64_t* indices, int64_t rows, int64_t length, int64_t step, float* to,
                 cudaStream_t stream);

}  // namespace ddpm_eval::tensor::cuda
