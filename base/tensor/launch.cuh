#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#include <cuda_runtime_api.h>

// What every kernel's launch needs. Compiled by nvcc alone.
namespace ddpm_eval::tensor::cuda {

/// The largest second dimension of a grid.
inline constexpr int64_t kMaxGridY = 65535;

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Throws if the launch just made was refused.
inline void check_launch(const char* kernel) {
  const cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess) {
    throw std::runtime_error(std::string(kernel) + ": " + cudaGetErrorString(error));
  }
}

}  // namespace ddpm_eval::tensor::cuda
