#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

// Dropout of ddpm/dropout.h on the device, mask and product in one pass, without LibTorch.
namespace ddpm_eval::ddpm::cuda {

/// y = x / (1 - rate) where kept and 0 elsewhere, for x [rows, length] in float32 or bfloat16, which is
/// rounded once; y may be x. `place` is device memory: the first row and the step, in [0, 2^31); a replayed
/// graph of this call reads what is there then. Element i of row r is kept where tensor::keep_rows with the
/// same key (core::stream_key), index first row + r and that step keeps it, bit for bit. The gradient is the
/// same call on that of y. `rate` in [0, 1).
void dropout(uint64_t key, const int64_t* place, int64_t rows, int64_t length, double rate, bool bfloat16,
             const void* x, void* y, cudaStream_t stream);

}  // namespace ddpm_eval::ddpm::cuda
