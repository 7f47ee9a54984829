#pragma once

#include "ddpm/norm_kernel.h"

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::ddpm {

using detail::Activation;

/// Group normalisation of x + shift with eps 1e-6, then swish if asked for; x [n, c, h, w], weight and bias
/// [c], shift [n, c] or undefined for none. On the CPU, channels-last input in float32 or bfloat16, beside
/// float32 weights and shifts, takes one fused pass forward and one backward with float32 statistics;
/// anything else goes through LibTorch. Returns x's dtype. Differentiable once.
at::Tensor group_norm(const at::Tensor& x, int64_t groups, const at::Tensor& weight, const at::Tensor& bias,
                      Activation activation, const at::Tensor& shift = {});

/// torch::cat over channels whose gradients are again channels-last and without gaps, so that no convolution
/// has to copy them.
at::Tensor concat_channels(const at::Tensor& a, const at::Tensor& b);

}  // namespace ddpm_eval::ddpm
