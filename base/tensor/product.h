#pragma once

#include <ATen/core/Tensor.h>

namespace ddpm_eval::tensor {

/// A matrix as it is stored, or its transpose.
enum class Operand { kPlain, kTransposed };

/// The product of two float32 matrices on the CPU, stored without gaps, row by row. By oneDNN where LibTorch
/// was built with it, which is faster than BLAS on the small matrices of networks for points; else torch::mm.
/// Not differentiable. The same bits for the same number of threads.
at::Tensor product(const at::Tensor& a, Operand as_a, const at::Tensor& b, Operand as_b);

/// A float32 matrix in memory whose rows are `stride` numbers apart.
struct MatrixView {
  const float* data;
  int64_t stride;
  Operand as = Operand::kPlain;
};

/// Whether this build has multiply().
bool has_multiply();

/// to = scale a b, or to + scale a b, [rows, columns] with rows `to_stride` apart; `inner` is what a has
/// columns and b rows, once they are transposed as they say. By oneDNN, on the threads that are free: one
/// within a parallel region.
void multiply(int64_t rows, int64_t inner, int64_t columns, float scale, const MatrixView& a,
              const MatrixView& b, float* to, int64_t to_stride, bool adds = false);

}  // namespace ddpm_eval::tensor
