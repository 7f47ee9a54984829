#include "ddpm/norm_kernel.h"

#include "base/core/target_clones.h"
#include "ddpm/bfloat16.h"
#include "ddpm/elementary.h"

#include <algorithm>
#include <cmath>

namespace ddpm_eval::ddpm::detail {
namespace {

/// Rows whose float sums are added up before they go into a double.
constexpr int64_t kChunk = 64;
/// Channels whose sums stay in registers: whole cache lines, several of them, as rows are far apart.
constexpr int64_t kWideLanes = 64;
constexpr int64_t kLanes = 16;

/// Column sums of x + shift and of its square over all positions, for `Width` channels; x has `stride`
/// numbers a row.
template <int64_t Width, class Number>
DDPM_EVAL_INLINE void column_moments(int64_t positions, int64_t stride, const Number* x, const float* shift,
                                     float* sum, float* sum_of_squares) {
  double total[Width] = {};
  double total_of_squares[Width] = {};
  for (int64_t begin = 0; begin < positions; begin += kChunk) {
    const int64_t end = std::min(begin + kChunk, positions);
    float part[Width] = {};
    float part_of_squares[Width] = {};
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t c = 0; c < Width; ++c) {
        const float value = load(x[i * stride + c]) + shift[c];
        part[c] += value;
        part_of_squares[c] += value * value;
      }
    }
    for (int64_t c = 0; c < Width; ++c) {
      total[c] += static_cast<double>(part[c]);
      total_of_squares[c] += static_cast<double>(part_of_squares[c]);
    }
  }
  for (int64_t c = 0; c < Width; ++c) {
    sum[c] = static_cast<float>(total[c]);
    sum_of_squares[c] = static_cast<float>(total_of_squares[c]);
  }
}

template <class Number>
DDPM_EVAL_INLINE void all_column_moments(int64_t positions, int64_t channels, const Number* x,
                                         const float* shift, float* sum, float* sum_of_squares) {
  int64_t c = 0;
  for (; c + kWideLanes <= channels; c += kWideLanes) {
    column_moments<kWideLanes>(positions, channels, x + c, shift + c, sum + c, sum_of_squares + c);
  }
  for (; c + kLanes <= channels; c += kLanes) {
    column_moments<kLanes>(positions, channels, x + c, shift + c, sum + c, sum_of_squares + c);
  }
  for (; c + 4 <= channels; c += 4) {
    column_moments<4>(positions, channels, x + c, shift + c, sum + c, sum_of_squares + c);
  }
  for (; c < channels; ++c) {
    column_moments<1>(positions, channels, x + c, shift + c, sum + c, sum_of_squares + c);
  }
}

/// y = x scale + offset per channel, then swish if asked for.
template <bool Swish, class Number>
DDPM_EVAL_INLINE void affine(int64_t positions, int64_t channels, const Number* __restrict x,
                             const float* __restrict scale, const float* __restrict offset,
                             Number* __restrict y) {
  for (int64_t i = 0; i < positions; ++i) {
    for (int64_t c = 0; c < channels; ++c) {
      const float z = load(x[i * channels + c]) * scale[c] + offset[c];
      store(Swish ? z * sigmoid(z) : z, y[i * channels + c]);
    }
  }
}

/// dz = dy act'(z), z = x scale + offset.
template <bool Swish>
DDPM_EVAL_INLINE float inner_gradient(float x, float scale, float offset, float dy) {
  if (!Swish) {
    return dy;
  }
  const float z = x * scale + offset;
  const float s = sigmoid(z);
  return dy * (s + z * s * (1.0F - s));
}

/// What the gradients need per channel.
struct ChannelSums {
  float* x;     ///< sum of x
  float* dz;    ///< sum of dz
  float* dz_x;  ///< sum of dz x
};

template <int64_t Width, bool Swish, class Number>
DDPM_EVAL_INLINE void column_gradients(int64_t positions, int64_t stride, const Number* x, const Number* dy,
                                       const float* scale, const float* offset, const ChannelSums& sums,
                                       int64_t first) {
  double total_x[Width] = {};
  double total_dz[Width] = {};
  double total_dz_x[Width] = {};
  for (int64_t begin = 0; begin < positions; begin += kChunk) {
    const int64_t end = std::min(begin + kChunk, positions);
    float part_x[Width] = {};
    float part_dz[Width] = {};
    float part_dz_x[Width] = {};
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t c = 0; c < Width; ++c) {
        const float value = load(x[i * stride + first + c]);
        const float dz = inner_gradient<Swish>(value, scale[first + c], offset[first + c],
                                               load(dy[i * stride + first + c]));
        part_x[c] += value;
        part_dz[c] += dz;
        part_dz_x[c] += dz * value;
      }
    }
    for (int64_t c = 0; c < Width; ++c) {
      total_x[c] += static_cast<double>(part_x[c]);
      total_dz[c] += static_cast<double>(part_dz[c]);
      total_dz_x[c] += static_cast<double>(part_dz_x[c]);
    }
  }
  for (int64_t c = 0; c < Width; ++c) {
    sums.x[first + c] = static_cast<float>(total_x[c]);
    sums.dz[first + c] = static_cast<float>(total_dz[c]);
    sums.dz_x[first + c] = static_cast<float>(total_dz_x[c]);
  }
}

template <bool Swish, class Number>
DDPM_EVAL_INLINE void all_column_gradients(int64_t positions, int64_t channels, const Number* x,
                                           const Number* dy, const float* scale, const float* offset,
                                           const ChannelSums& sums) {
  int64_t c = 0;
  for (; c + 2 * kLanes <= channels; c += 2 * kLanes) {
    column_gradients<2 * kLanes, Swish>(positions, channels, x, dy, scale, offset, sums, c);
  }
  for (; c + kLanes <= channels; c += kLanes) {
    column_gradients<kLanes, Swish>(positions, channels, x, dy, scale, offset, sums, c);
  }
  for (; c + 4 <= channels; c += 4) {
    column_gradients<4, Swish>(positions, channels, x, dy, scale, offset, sums, c);
  }
  for (; c < channels; ++c) {
    column_gradients<1, Swish>(positions, channels, x, dy, scale, offset, sums, c);
  }
}

/// dx = dz scale + x by_x + constant per channel.
template <bool Swish, class Number>
DDPM_EVAL_INLINE void input_gradient(int64_t positions, int64_t channels, const Number* __restrict x,
                                     const Number* __restrict dy, const float* __restrict scale,
                                     const float* __restrict offset, const float* __restrict by_x,
                                     const float* __restrict constant, Number* __restrict dx) {
  for (int64_t i = 0; i < positions; ++i) {
    for (int64_t c = 0; c < channels; ++c) {
      const float value = load(x[i * channels + c]);
      const float dz = inner_gradient<Swish>(value, scale[c], offset[c], load(dy[i * channels + c]));
      store(dz * scale[c] + value * by_x[c] + constant[c], dx[i * channels + c]);
    }
  }
}

// NOLINTBEGIN(bugprone-macro-parentheses): a type does not stand in parentheses.
// Each kernel for both kinds of numbers: what is compiled several times must not be a template.
#define DDPM_EVAL_KERNELS(Number)                                                                    \
  DDPM_EVAL_CLONES void moments(const NormShape& s, const Number* x, const float* shift, float* sum, \
                                float* sum_of_squares) {                                             \
    all_column_moments(s.positions, s.channels, x, shift, sum, sum_of_squares);                      \
  }                                                                                                  \
  DDPM_EVAL_CLONES void apply(const NormShape& s, Activation activation, const Number* x,            \
                              const float* scale, const float* offset, Number* y) {                  \
    if (activation == Activation::kSwish) {                                                          \
      affine<true>(s.positions, s.channels, x, scale, offset, y);                                    \
    } else {                                                                                         \
      affine<false>(s.positions, s.channels, x, scale, offset, y);                                   \
    }                                                                                                \
  }                                                                                                  \
  DDPM_EVAL_CLONES void gradients(const NormShape& s, Activation activation, const Number* x,        \
                                  const Number* dy, const float* scale, const float* offset,         \
                                  const ChannelSums& sums) {                                         \
    if (activation == Activation::kSwish) {                                                          \
      all_column_gradients<true>(s.positions, s.channels, x, dy, scale, offset, sums);               \
    } else {                                                                                         \
      all_column_gradients<false>(s.positions, s.channels, x, dy, scale, offset, sums);              \
    }                                                                                                \
  }                                                                                                  \
  DDPM_EVAL_CLONES void apply_gradient(const NormShape& s, Activation activation, const Number* x,   \
                                       const Number* dy, const float* scale, const float* offset,    \
                                       const float* by_x, const float* constant, Number* dx) {       \
    if (activation == Activation::kSwish) {                                                          \
      input_gradient<true>(s.positions, s.channels, x, dy, scale, offset, by_x, constant, dx);       \
    } else {                                                                                         \
      input_gradient<false>(s.positions, s.channels, x, dy, scale, offset, by_x, constant, dx);      \
    }                                                                                                \
  }

DDPM_EVAL_KERNELS(float)
DDPM_EVAL_KERNELS(Bf16)
#undef DDPM_EVAL_KERNELS
// NOLINTEND(bugprone-macro-parentheses)

/// The affine map of x that shift, normalisation, weight and bias make together.
void fold(const NormShape& shape, const NormWeights& weights, const float* mean, const float* rstd,
          float* scale, float* offset) {
  const int64_t size = shape.channels / shape.groups;
  for (int64_t c = 0; c < shape.channels; ++c) {
    scale[c] = weights.weight[c] * rstd[c / size];
    offset[c] = weights.bias[c] + (weights.shift[c] - mean[c / size]) * scale[c];
  }
}

}  // namespace

template <class Number>
void norm_forward(const NormShape& shape, double eps, Activation activation, const Number* x,
                  const NormWeights& weights, Number* y, float* mean, float* rstd, float* scratch) {
  float* sum = scratch;
  float* sum_of_squares = scratch + shape.channels;
  moments(shape, x, weights.shift, sum, sum_of_squares);
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
  float *scale = sum, *offset = sum_of_squares;
  fold(shape, weights, mean, rstd, scale, offset);
  apply(shape, activation, x, scale, offset, y);
}

template <class Number>
void norm_backward(const NormShape& shape, Activation activation, const Number* x, const NormWeights& weights,
                   const float* mean, const float* rstd, const Number* dy, Number* dx,
                   const NormGradients& into, float* scratch) {
  const int64_t channels = shape.channels;
  float* scale = scratch;
  float* offset = scratch + channels;
  float* by_x = scratch + 2 * channels;
  float* constant = scratch + 3 * channels;
  const ChannelSums sums{scratch + 4 * channels, into.bias, scratch + 5 * channels};
  fold(shape, weights, mean, rstd, scale, offset);
  gradients(shape, activation, x, dy, scale, offset, sums);
  const int64_t size = channels / shape.groups;
  const auto positions = static_cast<double>(shape.positions);
  const double count = static_cast<double>(size) * positions;
  for (int64_t g = 0; g < shape.groups; ++g) {
    const double m = mean[g], r = rstd[g];
    // Of x + shift, which is what was normalised.
    double weighted_dz = 0, weighted_dz_x = 0;
    for (int64_t c = g * size; c < (g + 1) * size; ++c) {
      const double shift = weights.shift[c], dz = sums.dz[c], dz_x = sums.dz_x[c] + shift * dz;
      weighted_dz += double(weights.weight[c]) * dz;
      weighted_dz_x += double(weights.weight[c]) * dz_x;
      into.weight[c] = static_cast<float>((dz_x - m * dz) * r);
    }
    const double slope = (weighted_dz * m - weighted_dz_x) * r * r * r / count;
    for (int64_t c = g * size; c < (g + 1) * size; ++c) {
      const double level = slope * (double(weights.shift[c]) - m) - weighted_dz * r / count;
      by_x[c] = static_cast<float>(slope);
      constant[c] = static_cast<float>(level);
      into.shift[c] =
          static_cast<float>(double(scale[c]) * sums.dz[c] + slope * sums.x[c] + level * positions);
    }
  }
  apply_gradient(shape, activation, x, dy, scale, offset, by_x, constant, dx);
}

template void norm_forward(const NormShape&, double, Activation, const float*, const NormWeights&, float*,
                           float*, float*, float*);
template void norm_forward(const NormShape&, double, Activation, const Bf16*, const NormWeights&, Bf16*,
                           float*, float*, float*);
template void norm_backward(const NormShape&, Activation, const float*, const NormWeights&, const float*,
                            const float*, const float*, float*, const NormGradients&, float*);
template void norm_backward(const NormShape&, Activation, const Bf16*, const NormWeights&, const float*,
                            const float*, const Bf16*, Bf16*, const NormGradients&, float*);

}  // namespace ddpm_eval::ddpm::detail
