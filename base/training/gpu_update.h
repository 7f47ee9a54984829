#pragma once

#include "base/training/adam_kernel.h"

#include <vector>

#include <ATen/core/Tensor.h>

// The passes over all parameters after a step on a GPU: one kernel for all tensors instead of several for
// each. Private to base/training.
namespace ddpm_eval::training::gpu {

/// Whether this build has the kernels and they can walk `tensor` as a plain array: float32 on a GPU, without
/// gaps, in any order of dimensions.
bool suits(const at::Tensor& tensor);

/// Tensors of one parameter, equal in sizes and in order of storage.
struct AdamTensors {
  at::Tensor parameter, grad, exp_avg, exp_avg_sq;
};

/// detail::adam_block() on all.
void adam(const std::vector<AdamTensors>& tensors, const detail::AdamCoefficients<float>& coefficients);

struct AverageTensors {
  at::Tensor average, value;
};

/// detail::average_block() on all.
void average(const std::vector<AverageTensors>& tensors, float weight);

/// The Euclidean norm of all together; squares and sums are float64. Waits for the GPU.
double norm(const std::vector<at::Tensor>& tensors);

}  // namespace ddpm_eval::training::gpu
