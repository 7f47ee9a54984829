#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

// Private to metrics: the dense linear algebra of Eigen, in one translation unit, through LAPACK and BLAS
// where these were found. Matrices are contiguous float64 CPU tensors and are worked on in place, because at
// 2048 dimensions every copy is 33.5 MB.
namespace ddpm_eval::metrics::dense {

/// gram [d, d] += rows^T rows with rows [n, d], on the upper triangle alone (of the tensor as indexed, row <=
/// column).
void add_gram(at::Tensor& gram, const at::Tensor& rows);

/// Copies the upper triangle over the lower one.
void mirror_upper(at::Tensor& matrix);

/// Cholesky of a symmetric positive semi-definite `matrix` in place. True: the upper triangle now holds U =
/// L^T with matrix = U^T U, and the strict lower triangle still holds the input. False: the matrix is
/// numerically rank deficient (a pivot below d * eps * the largest diagonal element) or indefinite, and is
/// unchanged.
bool cholesky_in_place(at::Tensor& matrix);

/// Puts a matrix back as it was before a cholesky_in_place() that returned true; `diagonal` [d] is its old
/// diagonal.
void undo_cholesky(at::Tensor& matrix, const at::Tensor& diagonal);

/// inner := U inner U^T for symmetric `inner` and the upper triangle U of `factor`, both [d, d]; the result's
/// upper triangle alone is valid.
void congruence_in_place(at::Tensor& inner, const at::Tensor& factor);

/// Ascending eigenvalues of the symmetric matrix whose upper triangle is given. Throws DataError if the
/// solver does not converge.
std::vector<double> symmetric_eigenvalues(const at::Tensor& matrix);

/// The same with eigenvectors: row i of `vectors` [d, d] belongs to values[i]. `matrix` is destroyed.
struct EigenPairs {
  std::vector<double> values;
  at::Tensor vectors;
};
EigenPairs symmetric_eigenpairs(at::Tensor& matrix);

/// Principal square root of a general square matrix through its complex Schur form: complex128 [d, d], with
/// non-finite elements where the matrix is singular.
at::Tensor complex_sqrt(const at::Tensor& matrix);

/// "Eigen through LAPACKE" or "Eigen".
const char* backend();

}  // namespace ddpm_eval::metrics::dense
