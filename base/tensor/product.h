#pragma once

#include <ATen/core/Tensor.h>

namespace ddpm_eval::tensor {

/// A matrix as it is stored, or its transpose.
enum class Operand { kPlain, kTransposed };

/// The product of two float32 matrices on the CPU, stored without gaps, row by row. By oneDNN where LibTorch
/// was built with it, which is faster than BLAS on the small matrices of networks for points; else torch::mm.
/// Not differentiable. The same bits for the same number of threads.
at::Tensor product(const at::Tensor& a, Operand as_a, const at::Tensor& b, Operand as_b);

}  // namespace ddpm_eval::tensor
