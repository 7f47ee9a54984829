#include "metrics/filter_kernel.h"

#include "base/core/target_clones.h"

#include <algorithm>

namespace ddpm_eval::metrics::detail {
namespace {

constexpr int64_t kBlock = 16;  ///< sums that stay in registers

template <class Number>
DDPM_EVAL_INLINE void columns_of(const uint8_t* const* planes, int64_t columns, const int64_t* first,
                                 const int64_t* count, const Number* weights, int64_t width, int64_t outputs,
                                 Number* __restrict packed, float* __restrict out, int64_t stride) {
  // One lane for each row and colour: the order of a sum stays, and lanes fill the processor's vectors.
  for (int64_t x = 0; x < columns; ++x) {
    for (int64_t lane = 0; lane < kFilterLanes; ++lane) {
      packed[x * kFilterLanes + lane] = static_cast<Number>(planes[lane][x]);
    }
  }
  for (int64_t o = 0; o < outputs; ++o) {
    const Number* source = packed + first[o] * kFilterLanes;
    const Number* weight = weights + o * width;
    Number sum[kFilterLanes] = {};
    for (int64_t j = 0; j < count[o]; ++j) {
      for (int64_t lane = 0; lane < kFilterLanes; ++lane) {
        sum[lane] += source[j * kFilterLanes + lane] * weight[j];
      }
    }
    for (int64_t row = 0; row < kFilterRows; ++row) {
      for (int64_t colour = 0; colour < 3; ++colour) {
        out[row * stride + o * 3 + colour] = static_cast<float>(sum[row * 3 + colour]);
      }
    }
  }
}

template <int64_t Width, class Number>
DDPM_EVAL_INLINE void blend_block(const float* const* rows, const Number* weights, int64_t taps,
                                  int64_t begin, Bounds bounds, float* __restrict out) {
  Number sum[Width] = {};
  for (int64_t j = 0; j < taps; ++j) {
    const float* row = rows[j] + begin;
    for (int64_t i = 0; i < Width; ++i) {
      sum[i] += static_cast<Number>(row[i]) * weights[j];
    }
  }
  for (int64_t i = 0; i < Width; ++i) {
    out[begin + i] = std::min(std::max(static_cast<float>(sum[i]), bounds.low), bounds.high);
  }
}

template <class Number>
DDPM_EVAL_INLINE void blend_of(const float* const* rows, const Number* weights, int64_t taps, int64_t count,
                               Bounds bounds, float* out) {
  int64_t i = 0;
  for (; i + kBlock <= count; i += kBlock) {
    blend_block<kBlock>(rows, weights, taps, i, bounds, out);
  }
  for (; i < count; ++i) {
    blend_block<1>(rows, weights, taps, i, bounds, out);
  }
}

// NOLINTBEGIN(bugprone-macro-parentheses): a type does not stand in parentheses.
// For both kinds of numbers: what is compiled several times must not be a template.
#define DDPM_EVAL_FILTER_KERNELS(Number)                                                                 \
  DDPM_EVAL_CLONES void columns_for(const uint8_t* const* planes, int64_t columns, const int64_t* first, \
                                    const int64_t* count, const Number* weights, int64_t width,          \
                                    int64_t outputs, Number* packed, float* out, int64_t stride) {       \
    columns_of(planes, columns, first, count, weights, width, outputs, packed, out, stride);             \
  }                                                                                                      \
  DDPM_EVAL_CLONES void blend_for(const float* const* rows, const Number* weights, int64_t taps,         \
                                  int64_t count, Bounds bounds, float* out) {                            \
    blend_of(rows, weights, taps, count, bounds, out);                                                   \
  }

DDPM_EVAL_FILTER_KERNELS(float)
DDPM_EVAL_FILTER_KERNELS(double)
#undef DDPM_EVAL_FILTER_KERNELS
// NOLINTEND(bugprone-macro-parentheses)

}  // namespace

template <class Number>
void filter_columns(const std::array<const uint8_t*, kFilterLanes>& planes, int64_t columns,
                    const Filter<Number>& filter, Number* packed, float* out, int64_t stride) {
  columns_for(planes.data(), columns, filter.first.data(), filter.count.data(), filter.weights.data(),
              filter.width, static_cast<int64_t>(filter.first.size()), packed, out, stride);
}

template <class Number>
void blend_rows(const float* const* rows, const Number* weights, int64_t taps, int64_t count, Bounds bounds,
                float* out) {
  blend_for(rows, weights, taps, count, bounds, out);
}

template void filter_columns(const std::array<const uint8_t*, kFilterLanes>&, int64_t, const Filter<float>&,
                             float*, float*, int64_t);
template void filter_columns(const std::array<const uint8_t*, kFilterLanes>&, int64_t, const Filter<double>&,
                             double*, float*, int64_t);
template void blend_rows(const float* const*, const float*, int64_t, int64_t, Bounds, float*);
template void blend_rows(const float* const*, const double*, int64_t, int64_t, Bounds, float*);

}  // namespace ddpm_eval::metrics::detail
