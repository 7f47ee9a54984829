#pragma once

#include "ddpm/group_norm.h"

#include <cstdint>

#include <ATen/core/Tensor.h>

// The layers that have kernels of their own on a CUDA device: LibTorch's would pass over memory several
// times, in another layout and in float32. Private to ddpm.
namespace ddpm_eval::ddpm {

/// Whether this build has them and `x` is what they take: float32 or bfloat16 on a GPU, channels-last.
bool suits_gpu_kernels(const at::Tensor& x);

/// group_norm() for such an x. Differentiable once; the same bits every time.
at::Tensor group_norm_on_gpu(const at::Tensor& x, int64_t groups, const at::Tensor& weight,
                             const at::Tensor& bias, double eps, Activation activation,
                             const at::Tensor& shift);

/// Where a mask of dropout begins in its stream of noise.
struct MaskKey {
  uint64_t stream;   ///< core::stream_key() of seed and purpose
  at::Tensor place;  ///< from mask_place()
};

/// The first row and the step where a kernel reads them, int64 [2] on `device`: a recorded pass (see
/// tensor::ReplayedFunction) is replayed with those of another step.
at::Tensor mask_place(int64_t first_row, int64_t step, at::Device device);

/// dropout() for such an x. The mask is made anew in the backward pass, not kept.
at::Tensor dropout_on_gpu(const at::Tensor& x, double rate, const MaskKey& key);

}  // namespace ddpm_eval::ddpm
