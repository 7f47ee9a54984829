// The build defines DDPM_EVAL_WITH_LAPACKE where liblapacke was found. These two macros change Eigen's
// templates, so no other file may see them and still share Eigen's products with this one.
#ifdef DDPM_EVAL_WITH_LAPACKE
#define EIGEN_USE_BLAS
#define EIGEN_USE_LAPACKE
#endif

#include "metrics/dense_algebra.h"

#include "base/core/error.h"
#include "base/tensor/eigen_view.h"
#include "base/tensor/shape.h"

#include <algorithm>
#include <limits>

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <torch/types.h>
#include <unsupported/Eigen/MatrixFunctions>

namespace ddpm_eval::metrics::dense {
namespace {

using Matrix = Eigen::MatrixXd;
using MatrixMap = Eigen::Map<Matrix>;

constexpr int64_t kPanel = 256;  ///< columns that the in-place products work on at a time

/// A row-major tensor [rows, cols] seen by Eigen, which is column-major, is its transpose [cols, rows]: the
/// tensor's upper triangle is Eigen's lower one.
MatrixMap transposed_view(const at::Tensor& tensor) {
  tensor::expect(tensor, at::kDouble, {-1, -1}, "matrix");
  DDPM_CHECK(tensor.is_contiguous() && tensor.device().is_cpu(),
             "dense algebra needs contiguous CPU tensors");
  return {tensor.data_ptr<double>(), tensor.size(1), tensor.size(0)};
}

MatrixMap square_view(const at::Tensor& tensor) {
  auto view = transposed_view(tensor);
  DDPM_CHECK(view.rows() == view.cols(), "matrix is {} x {}", view.cols(), view.rows());
  return view;
}

/// Upper triangle := transpose of the lower one, in the orientation of `view`, by blocks that stay in the
/// cache.
template <class View>
void mirror_lower(View& view) {
  constexpr int64_t kBlock = 64;
  const int64_t dim = view.rows();
  for (int64_t begin = 0; begin < dim; begin += kBlock) {
    const int64_t width = std::min(kBlock, dim - begin);
    for (int64_t j = begin; j < begin + width; ++j) {
      const int64_t rest = begin + width - j - 1;
      view.row(j).segment(j + 1, rest) = view.col(j).segment(j + 1, rest).transpose();
    }
    for (int64_t col = begin + width; col < dim; col += kBlock) {
      const int64_t cols = std::min(kBlock, dim - col);
      view.block(begin, col, width, cols) = view.block(col, begin, cols, width).transpose();
    }
  }
}

/// Undoes what a factorisation wrote into the tensor's upper triangle.
void restore_upper(at::Tensor& matrix) {
  auto view = tensor::eigen_view(matrix);
  mirror_lower(view);
}

[[noreturn]] void refuse_unconverged(int64_t dim) {
  throw core::DataError("the eigenvalues of a {} x {} matrix did not converge: its numbers are damaged", dim,
                        dim);
}

Eigen::SelfAdjointEigenSolver<Matrix> solve(const at::Tensor& matrix, int options) {
  const auto view = square_view(matrix);
  Eigen::SelfAdjointEigenSolver<Matrix> solver(view, options);
  if (solver.info() != Eigen::Success) {
    refuse_unconverged(view.rows());
  }
  return solver;
}

}  // namespace

void add_gram(at::Tensor& gram, const at::Tensor& rows) {
  auto target = square_view(gram);
  target.selfadjointView<Eigen::Lower>().rankUpdate(transposed_view(rows));
}

void mirror_upper(at::Tensor& matrix) {
  auto view = square_view(matrix);
  mirror_lower(view);
}

bool cholesky_in_place(at::Tensor& matrix) {
  auto view = square_view(matrix);
  const Eigen::VectorXd diagonal = view.diagonal();
  Eigen::Ref<Matrix> in_place(view);
  const Eigen::LLT<Eigen::Ref<Matrix>> factor(in_place);
  const double floor = static_cast<double>(view.rows()) * std::numeric_limits<double>::epsilon() *
                       (diagonal.size() > 0 ? diagonal.maxCoeff() : 0.0);
  if (factor.info() == Eigen::Success && view.diagonal().array().square().minCoeff() > floor) {
    return true;
  }
  view.diagonal() = diagonal;
  restore_upper(matrix);
  return false;
}

void undo_cholesky(at::Tensor& matrix, const at::Tensor& diagonal) {
  restore_upper(matrix);
  matrix.diagonal().copy_(diagonal);
}

// In Eigen's orientation this is inner := L^T inner L with L lower triangular. Panel J of inner * L needs the
// columns from J on alone, and panel I of L^T * (that) the rows from I on alone, so both products can
// overwrite their input.
void congruence_in_place(at::Tensor& inner, const at::Tensor& factor) {
  auto product = square_view(inner);
  const auto lower = square_view(factor);
  const int64_t dim = product.rows();
  DDPM_CHECK(lower.rows() == dim, "factor is {} x {}, inner {} x {}", lower.rows(), lower.rows(), dim, dim);
  Matrix slab;
  Matrix panel;
  const auto take_slab = [&](int64_t begin, int64_t width) {
    slab = lower.block(begin, begin, dim - begin, width);
    slab.topRows(width).triangularView<Eigen::StrictlyUpper>().setZero();
  };
  for (int64_t begin = 0; begin < dim; begin += kPanel) {
    const int64_t width = std::min(kPanel, dim - begin);
    take_slab(begin, width);
    panel.noalias() = product.rightCols(dim - begin) * slab;
    product.middleCols(begin, width) = panel;
  }
  for (int64_t begin = 0; begin < dim; begin += kPanel) {
    const int64_t width = std::min(kPanel, dim - begin);
    take_slab(begin, width);
    panel.noalias() = slab.transpose() * product.block(begin, 0, dim - begin, begin + width);
    product.block(begin, 0, width, begin + width) = panel;
  }
}

std::vector<double> symmetric_eigenvalues(const at::Tensor& matrix) {
  if (matrix.size(0) == 0) {
    return {};
  }
  const auto solver = solve(matrix, Eigen::EigenvaluesOnly);
  return {solver.eigenvalues().begin(), solver.eigenvalues().end()};
}

// Eigen would call dsyev here; dsyevr (Dhillon & Parlett 2004) is some ten times faster when vectors are
// wanted.
EigenPairs symmetric_eigenpairs(at::Tensor& matrix) {
  auto view = square_view(matrix);
  EigenPairs pairs{std::vector<double>(static_cast<size_t>(view.rows())), torch::empty_like(matrix)};
  if (view.rows() == 0) {
    return pairs;
  }
  auto vectors = square_view(pairs.vectors);
#ifdef DDPM_EVAL_WITH_LAPACKE
  const auto dim = static_cast<lapack_int>(view.rows());
  lapack_int found = 0;
  std::vector<lapack_int> support(2 * static_cast<size_t>(dim));
  const auto failed = LAPACKE_dsyevr(LAPACK_COL_MAJOR, 'V', 'A', 'L', dim, view.data(), dim, 0.0, 0.0, 0, 0,
                                     0.0, &found, pairs.values.data(), vectors.data(), dim, support.data());
  if (failed != 0 || found != dim) {
    refuse_unconverged(dim);
  }
#else
  const auto solver = solve(matrix, Eigen::ComputeEigenvectors);
  pairs.values.assign(solver.eigenvalues().begin(), solver.eigenvalues().end());
  vectors = solver.eigenvectors();
#endif
  return pairs;
}

at::Tensor complex_sqrt(const at::Tensor& matrix) {
  const auto view = square_view(matrix);
  const Eigen::MatrixXcd root = view.transpose().cast<std::complex<double>>().sqrt();
  auto result = at::empty(matrix.sizes(), at::kComplexDouble);
  Eigen::Map<Eigen::Matrix<std::complex<double>, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>(
      reinterpret_cast<std::complex<double>*>(result.data_ptr<c10::complex<double>>()), root.rows(),
      root.cols()) = root;
  return result;
}

const char* backend() {
#ifdef DDPM_EVAL_WITH_LAPACKE
  return "Eigen through LAPACKE";
#else
  return "Eigen";
#endif
}

}  // namespace ddpm_eval::metrics::dense
