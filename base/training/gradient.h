#pragma once

#include "base/tensor/named_tensor.h"

namespace ddpm_eval::training {

/// L2 norm of all gradients taken as one vector, in float64; parameters without a gradient count as zero. The
/// same bits for any number of threads. NaN or infinite if any element is.
double gradient_norm(const tensor::NamedTensors& parameters);

/// What the gradients are multiplied with so that their norm is at most `clip_norm`: clip_norm /
/// max(norm, clip_norm), as tf.clip_by_global_norm (torch's clip_grad_norm_ adds 1e-6 to the norm).
/// `clip_norm` 0: 1, no clipping.
double clip_scale(double norm, double clip_norm);

/// Drops the gradients, so that the next backward pass makes fresh ones instead of adding to these.
void clear_gradients(const tensor::NamedTensors& parameters);

}  // namespace ddpm_eval::training
