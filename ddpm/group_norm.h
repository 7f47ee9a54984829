#pragma once

#include "ddpm/norm_kernel.h"

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::ddpm {

using detail::Activation;

/// Group normalisation with eps 1e-6, then swish if asked for; x [n, c, h, w], weight and bias [c]. On the
/// CPU, float32 channels-last input takes one fused pass forward and one backward; anything else goes through
/// LibTorch. Differentiable once.
at::Tensor group_norm(const at::Tensor& x, int64_t groups, const at::Tensor& weight, const at::Tensor& bias,
                      Activation activation);

/// torch::cat over channels whose gradients are again channels-last and without gaps, so that no convolution
/// has to copy them.
at::Tensor concat_channels(const at::Tensor& a, const at::Tensor& b);

}  // namespace ddpm_eval::ddpm
