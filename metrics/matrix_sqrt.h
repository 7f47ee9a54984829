#pragma once

#include <cstdint>
#include <string>

#include <ATen/core/Tensor.h>

// Square roots of covariance matrices and their traces, all in float64.
namespace ddpm_eval::metrics {

/// The square root of a symmetric positive semi-definite matrix, float64 [d, d] to [d, d], by
/// eigen-decomposition. Eigenvalues below zero, which only rounding can have put there, count as zero. Throws
/// DataError if `matrix` is not finite, or not symmetric to 1e-5 of its largest element, or has an eigenvalue
/// below -1e-6 of its largest.
at::Tensor sqrt_symmetric(const at::Tensor& matrix);

/// A principal square root and how far from real it is.
struct GeneralSqrt {
  at::Tensor root;                 ///< complex128 [d, d]
  double largest_imaginary = 0.0;  ///< largest |Im| in it
};

/// The principal square root of any square float64 matrix by its complex Schur form (Bjorck & Hammarling
/// 1983, Eigen's MatrixFunctions). Throws DataError if the matrix is not finite or has no such root, as many
/// singular ones.
GeneralSqrt sqrt_general(const at::Tensor& matrix);

/// How the spread of one set of features is known.
struct Spread {
  at::Tensor covariance;  ///< float64 [d, d]
  at::Tensor centred;     ///< optional: float64 [n, d] with n < d and covariance = centred^T centred
};

/// tr (S_real S_fake)^(1/2) and how it was found.
struct TraceSqrt {
  double value = 0.0;
  std::string route;            ///< "cholesky", "eigen", "gram", "cross" or "general"
  bool real_deficient = false;  ///< the real covariance was found to be rank deficient
  bool fake_deficient = false;
  std::string note;  ///< what a reader of the number should know; may be empty
};

// clang-format off
/// The trace by a symmetric eigenvalues-only problem, which cannot turn complex:
///  - "cholesky": S_a = L L^T for a side of full rank, then the eigenvalues of L^T S_b L. Where a side is rank
///    deficient, eigenvalues below d * eps * the largest count as zero, because the root would turn their
///    rounding error e into sqrt(e); otherwise only negative ones do.
///  - "eigen": both sides are rank deficient: L = V sqrt(Lambda) without the null space.
///  - "gram": one side has `centred` X: the eigenvalues of X S X^T [n, n].
///  - "cross": both sides have it: the nuclear norm of X_real X_fake^T from the eigenvalues of its smaller Gram
///    matrix (Mathiasen & Hvilshoj 2020, arXiv 2009.14075).
// clang-format on
/// Both sides are [d, d] with equal d, symmetric and finite (LogicError otherwise). Throws DataError if one
/// is found to have a negative eigenvalue. A tensor that nobody else
/// refers to is used as working memory: move the arguments in, and the peak is two matrices above them at
/// 2048 dimensions.
TraceSqrt trace_sqrt_product(Spread real, Spread fake);

/// The trace as pytorch-fid 0.3.0 computes it: sqrt_general of S_real S_fake, its imaginary part dropped if
/// every diagonal element's is at most 1e-3 (DataError otherwise); if there is no root, 1e-6 is added to both
/// diagonals and a note says so. Some 50 times slower than trace_sqrt_product(): for comparison.
TraceSqrt trace_sqrt_product_general(const at::Tensor& real, const at::Tensor& fake);

}  // namespace ddpm_eval::metrics
