#include "ddpm/attention_kernel.h"

#include "base/core/target_clones.h"
#include "ddpm/elementary.h"

#include <algorithm>

namespace ddpm_eval::ddpm::detail {
namespace {

/// Partial results side by side, whatever the instruction set.
constexpr int64_t kSoftmaxLanes = 16;

DDPM_EVAL_INLINE float largest(int64_t width, const float* x) {
  float lanes[kSoftmaxLanes];
  std::fill(lanes, lanes + kSoftmaxLanes, x[0]);
  int64_t c = 0;
  for (; c + kSoftmaxLanes <= width; c += kSoftmaxLanes) {
    for (int64_t lane = 0; lane < kSoftmaxLanes; ++lane) {
      lanes[lane] = std::max(lanes[lane], x[c + lane]);
    }
  }
  float most = lanes[0];
  for (int64_t lane = 1; lane < kSoftmaxLanes; ++lane) {
    most = std::max(most, lanes[lane]);
  }
  for (; c < width; ++c) {
    most = std::max(most, x[c]);
  }
  return most;
}

DDPM_EVAL_INLINE float total(const float* lanes) {
  float sum = 0;
  for (int64_t lane = 0; lane < kSoftmaxLanes; ++lane) {
    sum += lanes[lane];
  }
  return sum;
}

}  // namespace

DDPM_EVAL_CLONES void softmax_rows(int64_t rows, int64_t width, float* x) {
  for (int64_t i = 0; i < rows; ++i) {
    float* row = x + i * width;
    const float most = largest(width, row);
    float lanes[kSoftmaxLanes] = {};
    int64_t c = 0;
    for (; c + kSoftmaxLanes <= width; c += kSoftmaxLanes) {
      for (int64_t lane = 0; lane < kSoftmaxLanes; ++lane) {
        const float raised = exponential(row[c + lane] - most);
        lanes[lane] += raised;
        row[c + lane] = raised;
      }
    }
    for (; c < width; ++c) {
      row[c] = exponential(row[c] - most);
      lanes[c % kSoftmaxLanes] += row[c];
    }
    const float inverse = 1.0F / total(lanes);
    for (c = 0; c < width; ++c) {
      row[c] *= inverse;
    }
  }
}

DDPM_EVAL_CLONES void softmax_rows_gradient(int64_t rows, int64_t width, const float* __restrict y,
                                            float* __restrict dy) {
  for (int64_t i = 0; i < rows; ++i) {
    const float* row = y + i * width;
    float* to = dy + i * width;
    float lanes[kSoftmaxLanes] = {};
    int64_t c = 0;
    for (; c + kSoftmaxLanes <= width; c += kSoftmaxLanes) {
      for (int64_t lane = 0; lane < kSoftmaxLanes; ++lane) {
        lanes[lane] += row[c + lane] * to[c + lane];
      }
    }
    for (; c < width; ++c) {
      lanes[c % kSoftmaxLanes] += row[c] * to[c];
    }
    const float mean = total(lanes);
    for (c = 0; c < width; ++c) {
      to[c] = row[c] * (to[c] - mean);
    }
  }
}

}  // namespace ddpm_eval::ddpm::detail
