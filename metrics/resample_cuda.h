#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

namespace ddpm_eval::metrics::cuda {

/// The rules of metrics/resample.h.
enum class BilinearRule { kTf1, kHalfPixel, kHalfPixelOfBytes };

/// Where the outputs along one side read: output o between `lo[o]` and `hi[o]`, at fraction `t[o]` from `lo`.
/// Device memory.
struct BilinearTaps {
  const int32_t* lo = nullptr;
  const int32_t* hi = nullptr;
  const float* t = nullptr;
};

/// `images` uint8 [count][3][height][width] and `out` float32 [count][out_height][out_width][3], on the
/// device.
struct BilinearProblem {
  BilinearRule rule = BilinearRule::kTf1;
  int64_t count = 0;
  int64_t height = 0;
  int64_t width = 0;
  int64_t out_height = 0;
  int64_t out_width = 0;
};

/// The bits of the rule on the CPU: each of its operations is rounded by itself.
void resample_bilinear(const BilinearProblem& problem, const BilinearTaps& rows, const BilinearTaps& columns,
                       const uint8_t* images, float* out, cudaStream_t stream);

}  // namespace ddpm_eval::metrics::cuda
