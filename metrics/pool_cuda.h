#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

namespace ddpm_eval::metrics::cuda {

/// Of the 3x3 windows of a map.
enum class PoolKind {
  kAverage,     ///< stride 1, a border of one that is not counted
  kMax,         ///< stride 1, the same border
  kMaxStride2,  ///< stride 2, no border
};

/// In one image, as indices have 32 bits.
inline constexpr int64_t kMaxPoolNumbers = int64_t{1} << 30;

/// What is pooled: float32 [images][height][width][channels]. A side is at least 1, with kMaxStride2 3; an
/// image has at most kMaxPoolNumbers.
struct PoolProblem {
  PoolKind kind = PoolKind::kAverage;
  int64_t images = 0;
  int64_t channels = 0;
  int64_t height = 0;
  int64_t width = 0;
};

/// The side that `side` becomes.
int64_t pooled_side(PoolKind kind, int64_t side);

/// out = the pooled x, [images][height][width][channels], both on the device. NaN goes through a maximum. An
/// average is a sum in an order of its own, divided by the numbers in the window. Throws std::runtime_error
/// for a problem that it cannot do.
void pool(const PoolProblem& problem, const float* x, float* out, cudaStream_t stream);

}  // namespace ddpm_eval::metrics::cuda
