#pragma once

#include "base/tensor/convolution.h"

#include <ATen/core/Tensor.h>

// Convolutions on a CUDA device, channels-last, by LibTorch's own (cuDNN) with less around them: one node of
// the graph each, weights laid out and rounded in one pass, the gradient of the bias by a kernel of our own.
// Rectified ones in float32 are by a kernel of ours. Private to base/tensor.
namespace ddpm_eval::tensor::gpu {

/// `weight` as the device multiplies it: in `dtype`, channels-last.
at::Tensor pack(const at::Tensor& weight, at::ScalarType dtype);

/// What x is multiplied in for this result: a float32 result of bfloat16 activations is not rounded in
/// between.
at::ScalarType operand_dtype(const at::Tensor& x, at::ScalarType result);

/// The convolution with a packed weight, in the weight's dtype. `bias` may be undefined, and
/// so may `residual`, which is added to the result and as that is.
at::Tensor forward(const at::Tensor& x, const at::Tensor& packed, const at::Tensor& bias,
                   const ConvolutionShape& shape, at::ScalarType result, const at::Tensor& residual = {});

/// The same with a rectifier after it, in float32 in one pass over memory. `bias` is defined. Where TF32 is
/// not allowed, float32 is as exact by tensor cores (convolve_cuda.h), as far as the device and the shape let
/// it.
at::Tensor forward_relu(const at::Tensor& x, const at::Tensor& packed, const at::Tensor& bias,
                        const ConvolutionShape& shape, at::ScalarType result);

/// The same with a float32 weight, differentiable once.
at::Tensor convolution(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                       const ConvolutionShape& shape, at::ScalarType result, const at::Tensor& residual = {});

}  // namespace ddpm_eval::tensor::gpu
