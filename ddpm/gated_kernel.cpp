#include "ddpm/gated_kernel.h"

#include "base/core/target_clones.h"
#include "ddpm/elementary.h"

#include <algorithm>
#include <cmath>

namespace ddpm_eval::ddpm::detail {
namespace {

/// One row.
DDPM_EVAL_INLINE void softplus_row(int64_t width, const float* __restrict y, const float* __restrict bias,
                                   const float* __restrict gate, float* __restrict h,
                                   float* __restrict slope) {
  for (int64_t c = 0; c < width; ++c) {
    const float z = (y[c] + bias[c]) * gate[c];
    // With u = e^-|z|, at most 1: softplus(z) = max(z, 0) + log(1 + u), and log(1 + u) = 2 artanh(u / (2 +
    // u)).
    const float u = exponential(-std::abs(z));
    // Division is what takes longest: one for both.
    const float inverse = 1.0F / ((2.0F + u) * (1.0F + u));
    h[c] = std::max(z, 0.0F) + 2.0F * artanh(u * (1.0F + u) * inverse);
    slope[c] = (z < 0.0F ? u : 1.0F) * (2.0F + u) * inverse;
  }
}

}  // namespace

DDPM_EVAL_CLONES void gated_softplus(const GatedRows& shape, int64_t begin, int64_t end, const float* y,
                                     float* h, float* slope) {
  const int64_t width = shape.width;
  for (int64_t i = begin; i < end; ++i) {
    softplus_row(width, y + i * width, shape.bias, shape.gates + shape.t[i] * width, h + i * width,
                 slope + i * width);
  }
}

DDPM_EVAL_CLONES void gated_softplus_gradient(const GatedRows& shape, int64_t begin, int64_t end,
                                              const float* y, const float* slope, const float* dh, float* dy,
                                              double* scratch, float* dbias, float* dgates) {
  const int64_t width = shape.width;
  std::fill(scratch + begin, scratch + end, 0.0);
  for (int64_t i = 0; i < shape.rows; ++i) {
    const int64_t row = i * width;
    const int64_t gates = shape.t[i] * width;
#pragma GCC ivdep
    for (int64_t c = begin; c < end; ++c) {
      const float dz = dh[row + c] * slope[row + c];
      const float dy_c = dz * shape.gates[gates + c];
      dgates[gates + c] += dz * (y[row + c] + shape.bias[c]);
      scratch[c] += static_cast<double>(dy_c);
      dy[row + c] = dy_c;
    }
  }
  for (int64_t c = begin; c < end; ++c) {
    dbias[c] = static_cast<float>(scratch[c]);
  }
}

}  // namespace ddpm_eval::ddpm::detail
