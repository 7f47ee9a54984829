#include "metrics/row_kernels.h"

#include "base/core/target_clones.h"

#include <bit>
#include <cmath>

namespace ddpm_eval::metrics::detail {
namespace {

// As many sums side by side as hide the latency of an addition.
constexpr int64_t kLanes = 16;

DDPM_EVAL_INLINE double total(const double* lanes) {
  double sum = 0.0;
  for (int64_t lane = 0; lane < kLanes; ++lane) {
    sum += lanes[lane];
  }
  return sum;
}

DDPM_EVAL_INLINE float to_half(float x) {
  // Below 2^-14 the step is 2^-24, which is that of float32 from 0.5 to 1.
  constexpr float kSmallestNormal = 0x1p-14F;
  constexpr float kStep = 0.75F;
  constexpr float kBeyond = 65520.0F;
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const uint32_t kept = (bits + 0xFFFU + ((bits >> 13U) & 1U)) & ~uint32_t{0x1FFF};
  const float small = (x + kStep) - kStep;
  const float normal = std::abs(x) < kBeyond ? std::bit_cast<float>(kept) : x;
  return std::abs(x) < kSmallestNormal ? small : normal;
}

}  // namespace

DDPM_EVAL_CLONES double squared_distance(const float* __restrict x, const float* __restrict y, int64_t dim) {
  double sums[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= dim; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const double gap = static_cast<double>(x[i + lane]) - static_cast<double>(y[i + lane]);
      sums[lane] += gap * gap;
    }
  }
  for (; i < dim; ++i) {
    const double gap = static_cast<double>(x[i]) - static_cast<double>(y[i]);
    sums[i % kLanes] += gap * gap;
  }
  return total(sums);
}

DDPM_EVAL_CLONES double inner_product(const float* x, const float* y, int64_t dim) {
  double sums[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= dim; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      sums[lane] += static_cast<double>(x[i + lane]) * static_cast<double>(y[i + lane]);
    }
  }
  for (; i < dim; ++i) {
    sums[i % kLanes] += static_cast<double>(x[i]) * static_cast<double>(y[i]);
  }
  return total(sums);
}

DDPM_EVAL_CLONES void round_to_half(const float* __restrict x, int64_t count, float* __restrict rounded) {
  for (int64_t i = 0; i < count; ++i) {
    rounded[i] = to_half(x[i]);
  }
}

float rounded_to_half(float x) { return to_half(x); }

DDPM_EVAL_CLONES double inner_product_of_halves(const float* x, const float* y, int64_t dim) {
  double sums[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= dim; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      sums[lane] += static_cast<double>(to_half(x[i + lane])) * static_cast<double>(to_half(y[i + lane]));
    }
  }
  for (; i < dim; ++i) {
    sums[i % kLanes] += static_cast<double>(to_half(x[i])) * static_cast<double>(to_half(y[i]));
  }
  return total(sums);
}

DDPM_EVAL_CLONES double sum_of_half_squares(const float* x, int64_t dim) {
  double sums[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= dim; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const float half = to_half(x[i + lane]);
      sums[lane] += static_cast<double>(to_half(half * half));
    }
  }
  for (; i < dim; ++i) {
    const float half = to_half(x[i]);
    sums[i % kLanes] += static_cast<double>(to_half(half * half));
  }
  return total(sums);
}

DDPM_EVAL_CLONES void centre_row(const float* x, float scale, const float* centre, int64_t dim,
                                 float* moved) {
  for (int64_t i = 0; i < dim; ++i) {
    moved[i] = x[i] * scale - centre[i];
  }
}

DDPM_EVAL_CLONES int64_t find_reaching(const float* __restrict products, const float* __restrict by_column,
                                       float by_row, int64_t count, int32_t* __restrict places) {
  int64_t found = 0;
  int64_t j = 0;
  // Nearly all groups hold nothing, which is seen without a branch for each number.
  for (; j + kLanes <= count; j += kLanes) {
    int32_t any = 0;
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      any |= products[j + lane] < by_column[j + lane] + by_row ? 0 : 1;
    }
    if (any != 0) {
      for (int64_t lane = j; lane < j + kLanes; ++lane) {
        if (!(products[lane] < by_column[lane] + by_row)) {
          places[found++] = static_cast<int32_t>(lane);
        }
      }
    }
  }
  for (; j < count; ++j) {
    if (!(products[j] < by_column[j] + by_row)) {
      places[found++] = static_cast<int32_t>(j);
    }
  }
  return found;
}

DDPM_EVAL_CLONES void raise_to(const float* __restrict products, float shift, int64_t count,
                               float* __restrict largest) {
  for (int64_t j = 0; j < count; ++j) {
    const float value = products[j] - shift;
    largest[j] = value > largest[j] ? value : largest[j];
  }
}

float pairwise_sum(const float* values, int64_t count) {
  constexpr int64_t kSums = 8;
  constexpr int64_t kAtOnce = 128;
  if (count > kAtOnce) {
    const int64_t half = count / 2 / kSums * kSums;
    return pairwise_sum(values, half) + pairwise_sum(values + half, count - half);
  }
  float sums[kSums] = {};
  int64_t i = 0;
  for (; i + kSums <= count; i += kSums) {
    for (int64_t lane = 0; lane < kSums; ++lane) {
      sums[lane] += values[i + lane];
    }
  }
  float sum = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
  for (; i < count; ++i) {
    sum += values[i];
  }
  return sum;
}

DDPM_EVAL_CLONES void add_to(const float* __restrict values, int64_t count, float* __restrict sums) {
  for (int64_t j = 0; j < count; ++j) {
    sums[j] += values[j];
  }
}

DDPM_EVAL_CLONES void polynomial_row(const double* __restrict products, double factor,
                                     const double* __restrict by_column, double by_row,
                                     const double* coefficients, int64_t degree, int64_t count,
                                     double* __restrict values) {
  constexpr int64_t kChunk = 64;
  double t[kChunk];
  for (int64_t begin = 0; begin < count; begin += kChunk) {
    const int64_t size = count - begin < kChunk ? count - begin : kChunk;
    double* out = values + begin;
    for (int64_t j = 0; j < size; ++j) {
      t[j] = factor * products[begin + j] + (by_column[begin + j] + by_row);
      out[j] = t[j] * coefficients[degree - 1];
    }
    for (int64_t power = degree - 2; power >= 0; --power) {
      for (int64_t j = 0; j < size; ++j) {
        out[j] = t[j] * (out[j] + coefficients[power]);
      }
    }
  }
}

void exponential_row(const double* products, double factor, const double* by_column, double by_row,
                     int64_t count, double* values) {
  for (int64_t j = 0; j < count; ++j) {
    const double t = factor * products[j] + (by_column[j] + by_row);
    values[j] = std::exp(t > 0.0 ? 0.0 : t);
  }
}

DDPM_EVAL_CLONES void widen(const float* __restrict narrow, int64_t count, double* __restrict wide) {
  for (int64_t j = 0; j < count; ++j) {
    wide[j] = static_cast<double>(narrow[j]);
  }
}

DDPM_EVAL_CLONES RowSums add_up(const double* __restrict values, int64_t count, double* __restrict columns) {
  double sums[kLanes] = {};
  double squares[kLanes] = {};
  int64_t j = 0;
  for (; j + kLanes <= count; j += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const double value = values[j + lane];
      sums[lane] += value;
      squares[lane] += value * value;
    }
  }
  for (; j < count; ++j) {
    sums[j % kLanes] += values[j];
    squares[j % kLanes] += values[j] * values[j];
  }
  if (columns != nullptr) {
    for (j = 0; j < count; ++j) {
      columns[j] += values[j];
    }
  }
  return {total(sums), total(squares)};
}

}  // namespace ddpm_eval::metrics::detail
