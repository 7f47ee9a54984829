#pragma once

#include "base/tensor/convolution.h"

#include <ATen/core/Tensor.h>

// Convolutions on a CUDA device by LibTorch's own (cuDNN), with less around them: one node of the graph each,
// weights laid out and rounded in one pass, the gradient of the bias by a kernel of our own. Private to
// base/tensor.
namespace ddpm_eval::tensor::gpu {

/// How x is convolved, and what the result is: as x if that is contiguous as plain [n, c, h, w] and in no
/// other way, else channels-last. cuDNN's float32 kernels for the plain layout are half as fast again.
at::MemoryFormat layout_of(const at::Tensor& x);

/// `weight` as the device multiplies it: in `dtype` and that layout.
at::Tensor pack(const at::Tensor& weight, at::ScalarType dtype, at::MemoryFormat layout);

/// What x is multiplied in for this result: a float32 result of bfloat16 activations is not rounded in
/// between.
at::ScalarType operand_dtype(const at::Tensor& x, at::ScalarType result);

/// The convolution with a weight packed for layout_of(x), in the weight's dtype. `bias` may be undefined, and
/// so may `residual`, which is added to the result and as that is.
at::Tensor forward(const at::Tensor& x, const at::Tensor& packed, const at::Tensor& bias,
                   const ConvolutionShape& shape, at::ScalarType result, const at::Tensor& residual = {});

/// The same with a rectifier after it, in float32 in one pass over memory. `bias` is defined.
at::Tensor forward_relu(const at::Tensor& x, const at::Tensor& packed, const at::Tensor& bias,
                        const ConvolutionShape& shape, at::ScalarType result);

/// The same with a float32 weight, channels-last in any case, differentiable once.
at::Tensor convolution(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                       const ConvolutionShape& shape, at::ScalarType result, const at::Tensor& residual = {});

}  // namespace ddpm_eval::tensor::gpu
