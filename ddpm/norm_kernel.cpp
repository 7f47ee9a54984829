#include "ddpm/norm_kernel.h"

#include <algorithm>
#include <bit>
#include <cmath>

// Sanitizers do not get along with functions that are chosen while the program loads.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define DDPM_EVAL_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define DDPM_EVAL_CLONES
#endif
#define DDPM_EVAL_INLINE __attribute__((always_inline)) inline
// Before a loop whose iterations touch different elements, though pointers may be equal.
#if defined(__clang__)
#define DDPM_EVAL_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define DDPM_EVAL_INDEPENDENT _Pragma("GCC ivdep")
#endif

namespace ddpm_eval::ddpm::detail {
namespace {

/// Rows whose float sums are added up before they go into a double.
constexpr int64_t kChunk = 64;
/// Channels whose sums stay in registers.
constexpr int64_t kLanes = 16;

/// e^x to 2e-7 of itself for x in [-87, 88], clamped outside: 2^k times a polynomial for e^r, |r| <= ln(2)/2.
DDPM_EVAL_INLINE float exponential(float x) {
  constexpr float kShift = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer in the low bits
  x = std::min(88.0F, std::max(-87.0F, x));
  const float shifted = x * 1.44269504F + kShift;
  const float k = shifted - kShift;
  // ln 2 in two parts, the first of few bits, so that k times it is exact.
  const float r = (x - k * 0.693359375F) + k * 2.12194440e-4F;
  // The Taylor series up to r^6 / 6!, whose remainder is below 2e-7 for |r| <= 0.347.
  float p = 1.0F / 720;
  p = p * r + 1.0F / 120;
  p = p * r + 1.0F / 24;
  p = p * r + 1.0F / 6;
  p = p * r + 0.5F;
  p = p * r + 1.0F;
  p = p * r + 1.0F;
  const auto exponent = (std::bit_cast<int32_t>(shifted) - std::bit_cast<int32_t>(kShift) + 127) << 23;
  return p * std::bit_cast<float>(exponent);
}

DDPM_EVAL_INLINE float sigmoid(float z) { return 1.0F / (1.0F + exponential(-z)); }

/// Column sums of u and of u v over all positions, for `Width` channels; u and v have `stride` floats a row.
template <int64_t Width>
DDPM_EVAL_INLINE void column_sums(int64_t positions, int64_t stride, const float* u, const float* v,
                                  float* sum_u, float* sum_uv) {
  double total_u[Width] = {};
  double total_uv[Width] = {};
  for (int64_t begin = 0; begin < positions; begin += kChunk) {
    const int64_t end = std::min(begin + kChunk, positions);
    float part_u[Width] = {};
    float part_uv[Width] = {};
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t c = 0; c < Width; ++c) {
        part_u[c] += u[i * stride + c];
        part_uv[c] += u[i * stride + c] * v[i * stride + c];
      }
    }
    for (int64_t c = 0; c < Width; ++c) {
      total_u[c] += static_cast<double>(part_u[c]);
      total_uv[c] += static_cast<double>(part_uv[c]);
    }
  }
  for (int64_t c = 0; c < Width; ++c) {
    sum_u[c] = static_cast<float>(total_u[c]);
    sum_uv[c] = static_cast<float>(total_uv[c]);
  }
}

DDPM_EVAL_CLONES void all_column_sums(int64_t positions, int64_t channels, const float* u, const float* v,
                                      float* sum_u, float* sum_uv) {
  int64_t c = 0;
  for (; c + kLanes <= channels; c += kLanes) {
    column_sums<kLanes>(positions, channels, u + c, v + c, sum_u + c, sum_uv + c);
  }
  for (; c + 4 <= channels; c += 4) {
    column_sums<4>(positions, channels, u + c, v + c, sum_u + c, sum_uv + c);
  }
  for (; c < channels; ++c) {
    column_sums<1>(positions, channels, u + c, v + c, sum_u + c, sum_uv + c);
  }
}

/// y = x scale + shift per channel.
DDPM_EVAL_CLONES void affine(int64_t positions, int64_t channels, const float* __restrict x,
                             const float* __restrict scale, const float* __restrict shift,
                             float* __restrict y) {
  for (int64_t i = 0; i < positions; ++i) {
    for (int64_t c = 0; c < channels; ++c) {
      y[i * channels + c] = x[i * channels + c] * scale[c] + shift[c];
    }
  }
}

/// y = swish(x scale + shift) per channel.
DDPM_EVAL_CLONES void affine_swish(int64_t positions, int64_t channels, const float* __restrict x,
                                   const float* __restrict scale, const float* __restrict shift,
                                   float* __restrict y) {
  for (int64_t i = 0; i < positions; ++i) {
    for (int64_t c = 0; c < channels; ++c) {
      const float z = x[i * channels + c] * scale[c] + shift[c];
      y[i * channels + c] = z * sigmoid(z);
    }
  }
}

/// dz = dy swish'(z), z = x scale + shift per channel.
DDPM_EVAL_CLONES void swish_gradient(int64_t positions, int64_t channels, const float* __restrict x,
                                     const float* __restrict scale, const float* __restrict shift,
                                     const float* __restrict dy, float* __restrict dz) {
  for (int64_t i = 0; i < positions; ++i) {
    for (int64_t c = 0; c < channels; ++c) {
      const float z = x[i * channels + c] * scale[c] + shift[c];
      const float s = sigmoid(z);
      dz[i * channels + c] = dy[i * channels + c] * (s + z * s * (1.0F - s));
    }
  }
}

/// dx = dz scale + x by_x + constant per channel; dz may be dx.
DDPM_EVAL_CLONES void input_gradient(int64_t positions, int64_t channels, const float* dz,
                                     const float* __restrict x, const float* __restrict scale,
                                     const float* __restrict by_x, const float* __restrict constant,
                                     float* dx) {
  for (int64_t i = 0; i < positions; ++i) {
    DDPM_EVAL_INDEPENDENT
    for (int64_t c = 0; c < channels; ++c) {
      dx[i * channels + c] = dz[i * channels + c] * scale[c] + x[i * channels + c] * by_x[c] + constant[c];
    }
  }
}

/// The affine map that normalisation, weight and bias make together.
void fold(const NormShape& shape, const float* weight, const float* bias, const float* mean,
          const float* rstd, float* scale, float* shift) {
  const int64_t size = shape.channels / shape.groups;
  for (int64_t c = 0; c < shape.channels; ++c) {
    scale[c] = weight[c] * rstd[c / size];
    shift[c] = bias[c] - mean[c / size] * scale[c];
  }
}

}  // namespace

void norm_forward(const NormShape& shape, double eps, Activation activation, const float* x,
                  const float* weight, const float* bias, float* y, float* mean, float* rstd,
                  float* scratch) {
  float* sum = scratch;
  float* sum_of_squares = scratch + shape.channels;
  all_column_sums(shape.positions, shape.channels, x, x, sum, sum_of_squares);
  const int64_t size = shape.channels / shape.groups;
  const double count = static_cast<double>(size) * static_cast<double>(shape.positions);
  for (int64_t g = 0; g < shape.groups; ++g) {
    double total = 0, total_of_squares = 0;
    for (int64_t c = g * size; c < (g + 1) * size; ++c) {
      total += static_cast<double>(sum[c]);
      total_of_squares += static_cast<double>(sum_of_squares[c]);
    }
    const double m = total / count;
    const double variance = std::max(0.0, total_of_squares / count - m * m);
    mean[g] = static_cast<float>(m);
    rstd[g] = static_cast<float>(1 / std::sqrt(variance + eps));
  }
  fold(shape, weight, bias, mean, rstd, sum, sum_of_squares);
  const auto apply = activation == Activation::kSwish ? affine_swish : affine;
  apply(shape.positions, shape.channels, x, sum, sum_of_squares, y);
}

void norm_backward(const NormShape& shape, Activation activation, const float* x, const float* weight,
                   const float* bias, const float* mean, const float* rstd, const float* dy, float* dx,
                   float* dweight, float* dbias, float* scratch) {
  const int64_t channels = shape.channels;
  float* scale = scratch;
  float* by_x = scratch + channels;
  float* constant = scratch + 2 * channels;
  float* sum_dz_x = scratch + 3 * channels;
  const float* dz = dy;
  fold(shape, weight, bias, mean, rstd, scale, /*shift=*/by_x);
  if (activation == Activation::kSwish) {
    swish_gradient(shape.positions, channels, x, scale, by_x, dy, dx);
    dz = dx;
  }
  float* sum_dz = dbias;
  all_column_sums(shape.positions, channels, dz, x, sum_dz, sum_dz_x);
  const int64_t size = channels / shape.groups;
  const double count = static_cast<double>(size) * static_cast<double>(shape.positions);
  for (int64_t g = 0; g < shape.groups; ++g) {
    const double m = mean[g], r = rstd[g];
    double weighted_dz = 0, weighted_dz_x = 0;
    for (int64_t c = g * size; c < (g + 1) * size; ++c) {
      weighted_dz += double(weight[c]) * double(sum_dz[c]);
      weighted_dz_x += double(weight[c]) * double(sum_dz_x[c]);
      dweight[c] = static_cast<float>((double(sum_dz_x[c]) - m * double(sum_dz[c])) * r);
    }
    const double slope = (weighted_dz * m - weighted_dz_x) * r * r * r / count;
    const double offset = -slope * m - weighted_dz * r / count;
    std::fill(by_x + g * size, by_x + (g + 1) * size, static_cast<float>(slope));
    std::fill(constant + g * size, constant + (g + 1) * size, static_cast<float>(offset));
  }
  input_gradient(shape.positions, channels, dz, x, scale, by_x, constant, dx);
}

}  // namespace ddpm_eval::ddpm::detail
