#pragma once

#include <cstdint>

// Group normalisation with the swish that follows it, over one image in channels-last order, without
// LibTorch: the library's own channels-last kernel is slow for the few channels per group of small networks.
// The same source is compiled for several instruction sets, none of which contracts or reorders: equal bits
// everywhere.
namespace ddpm_eval::ddpm::detail {

enum class Activation { kNone, kSwish };

/// One image: `positions` x `channels`, of which each group has channels / groups in a row.
struct NormShape {
  int64_t positions;
  int64_t channels;
  int64_t groups;
};

/// y = act(weight (x - mean) rstd + bias), with mean and rstd = 1 / sqrt(variance + eps) per group, which are
/// kept in `mean` and `rstd` [groups]. `scratch` holds 2 channels.
void norm_forward(const NormShape& shape, double eps, Activation activation, const float* x,
                  const float* weight, const float* bias, float* y, float* mean, float* rstd, float* scratch);

/// The gradients from that of y: dx, and this image's part of those of weight and bias [channels]. `scratch`
/// holds 4 channels.
void norm_backward(const NormShape& shape, Activation activation, const float* x, const float* weight,
                   const float* bias, const float* mean, const float* rstd, const float* dy, float* dx,
                   float* dweight, float* dbias, float* scratch);

}  // namespace ddpm_eval::ddpm::detail
