#pragma once

#include "ddpm/process.h"

#include <ATen/core/Tensor.h>

namespace ddpm_eval::ddpm {

/// What a network's output means. Training takes its target from here and sampling its x_0, so that a new
/// meaning (x_0, mu_tilde, v) is added in this file alone.
enum class Prediction { kEps };

/// What the network should have given for x_t = q_sample(x_0, t, eps).
at::Tensor training_target(Prediction prediction, const at::Tensor& x_0, const at::Tensor& eps);

/// The estimate of x_0 that the network's output stands for. Throws UsageError if the process cannot be
/// inverted.
at::Tensor x_0_from_output(Prediction prediction, const DiffusionProcess& process, const at::Tensor& x_t,
                           const at::Tensor& t, const at::Tensor& output);

}  // namespace ddpm_eval::ddpm
