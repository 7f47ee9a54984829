#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

// The numbers of base/tensor/noise.h made on the device, without LibTorch. `key` is core::stream_key(seed,
// purpose); `indices` [rows] and `to` [rows, length] are device memory. Uniforms are those of the CPU bit for
// bit, normals within 5e-6. Everything is queued on `stream`.
namespace ddpm_eval::tensor::cuda {

void normal_rows(uint64_t key, const int64_t* indices, int64_t rows, int64_t length, int64_t step, float* to,
                 cudaStream_t stream);
void uniform_rows(uint64_t key, const int64_t* indices, int64_t rows, int64_t length, int64_t step, float* to,
                  cudaStream_t stream);

/// The same with a step that is read from device memory when the kernel runs, for replayed graphs. Must be in
/// [0, 2^31), which nothing checks.
void normal_rows(uint64_t key, const int64_t* indices, int64_t rows, int64_t length, const int64_t* step,
                 float* to, cudaStream_t stream);
void uniform_rows(uint64_t key, const int64_t* indices, int64_t rows, int64_t length, const int64_t* step,
                  float* to, cudaStream_t stream);

}  // namespace ddpm_eval::tensor::cuda
