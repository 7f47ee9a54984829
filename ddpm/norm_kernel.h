#pragma once

#include "ddpm/bfloat16.h"

#include <cstdint>

// Group normalisation with the swish that follows it, over one image in channels-last order, without
// LibTorch: the library's own channels-last kernel is slow for the few channels per group of small networks,
// and has none for bfloat16 beside float32 weights. Statistics and sums are float32 and float64. The same
// source is compiled for several instruction sets, none of which contracts or reorders: equal bits
// everywhere.
namespace ddpm_eval::ddpm::detail {

enum class Activation { kNone, kSwish };

/// One image: `positions` x `channels`, of which each group has channels / groups in a row.
struct NormShape {
  int64_t positions;
  int64_t channels;
  int64_t groups;
};

/// [channels] each.
struct NormWeights {
  const float* weight;
  const float* bias;
  const float* shift;  ///< added to every position of x beforehand
};

/// One image's part of the gradients of weight, bias and shift, [channels] each.
struct NormGradients {
  float* weight;
  float* bias;
  float* shift;
};

/// y = act(weight (x + shift - mean) rstd + bias), with mean and rstd = 1 / sqrt(variance + eps) per group of
/// x + shift, which are kept in `mean` and `rstd` [groups]. `scratch` holds 2 channels. Number is float or
/// Bf16.
template <class Number>
void norm_forward(const NormShape& shape, double eps, Activation activation, const Number* x,
                  const NormWeights& weights, Number* y, float* mean, float* rstd, float* scratch);

/// The gradients from that of y: dx, and those of `into`. `scratch` holds 6 channels.
template <class Number>
void norm_backward(const NormShape& shape, Activation activation, const Number* x, const NormWeights& weights,
                   const float* mean, const float* rstd, const Number* dy, Number* dx,
                   const NormGradients& into, float* scratch);

}  // namespace ddpm_eval::ddpm::detail
