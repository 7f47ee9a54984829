#pragma once

#include "base/tensor/onednn_convolution.h"

#include <ATen/core/Tensor.h>

// Convolutions of 3 x 3 in float32 by Winograd's minimal filtering F(2 x 2, 3 x 3) (Lavin & Gray 2016): 4
// multiplications a number instead of 9, in sixteen matrix products of oneDNN. Its error is below that of
// summing 9 x channels products; tiles of 4 x 4 would take 2.25 multiplications, with five to ten times that
// error. Private to base/tensor. Activations are dense and channels-last.
namespace ddpm_eval::tensor::winograd {

/// Whether a convolution is of the kind, large enough to gain, and this build can. Does not depend on the
/// number of rows, so that a row's bits do not.
bool suits(const onednn::Problem& problem);

/// U of a weight float32 [out, in, 3, 3], contiguous.
at::Tensor filters(const at::Tensor& weight);

/// y = x * weight + bias, added to y if the problem `adds`. `filters` is what the function above made.
void forward(const onednn::Problem& problem, const at::Tensor& x, const at::Tensor& filters,
             const at::Tensor& bias, at::Tensor& y);
void backward_data(const onednn::Problem& problem, const at::Tensor& dy, const at::Tensor& weight,
                   at::Tensor& dx);
/// `dweight` and `dbias` are float32, contiguous. The bits do not depend on the number of threads.
void backward_weights(const onednn::Problem& problem, const at::Tensor& x, const at::Tensor& dy,
                      at::Tensor& dweight, at::Tensor& dbias);

}  // namespace ddpm_eval::tensor::winograd
