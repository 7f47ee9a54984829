#pragma once

#include "metrics/inception_layout.h"

#include <ATen/core/Tensor.h>

namespace ddpm_eval::metrics {

/// The pools of the Inception: x [n, c, h, w], channels-last on a GPU and in the layout of x elsewhere. NaN
/// goes through a maximum. float32 on a GPU is pooled by kernels of ours, all else by LibTorch's operators;
/// averages of the two differ by rounding. Not differentiable.
at::Tensor pooled(Pool pool, const at::Tensor& x);

}  // namespace ddpm_eval::metrics
