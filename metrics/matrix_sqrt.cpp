#include "metrics/matrix_sqrt.h"

#include "base/core/error.h"
#include "base/tensor/shape.h"
#include "base/tensor/symmetry.h"
#include "metrics/dense_algebra.h"

#include <cmath>
#include <limits>
#include <utility>

namespace ddpm_eval::metrics {
namespace {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

enum class Clip {
  kNegative,  ///< only what rounding pushed below zero
  kNoise,     ///< all that rounding can have made out of an exact zero
};

/// Rounding makes eigenvalues of -1e-12 of the largest; one below -1e-6 means that an input was no
/// covariance.
constexpr double kIndefinite = 1e-6;

[[noreturn]] void indefinite() {
  throw core::DataError("a covariance has a negative eigenvalue: the statistics are no mean and covariance");
}

void expect_no_negative(const std::vector<double>& values) {
  if (!values.empty() && values.front() < -kIndefinite * std::max(values.back(), 0.0)) {
    indefinite();
  }
}

/// The same of a matrix whose eigenvalues nobody needs, since the route sees a part of it alone: by one
/// Cholesky factorisation: the Frobenius norm is no less than the largest eigenvalue.
void expect_semidefinite(const at::Tensor& covariance) {
  auto shifted = covariance.clone(at::MemoryFormat::Contiguous);
  const double norm = covariance.norm().item<double>();
  shifted.diagonal().add_(kIndefinite * norm);
  if (norm > 0 && !dense::cholesky_in_place(shifted)) {
    indefinite();
  }
}

/// The sum of the square roots of ascending eigenvalues.
double sum_of_roots(const std::vector<double>& values, Clip clip) {
  expect_no_negative(values);
  double floor = 0.0;
  if (clip == Clip::kNoise && !values.empty()) {
    floor = static_cast<double>(values.size()) * kEpsilon * values.back();
  }
  double sum = 0.0;
  for (const double value : values) {
    sum += value > floor ? std::sqrt(value) : 0.0;
  }
  return sum;
}

/// `tensor` itself if nobody else can see it, else a copy: what may be overwritten.
at::Tensor owned(at::Tensor tensor) {
  const bool alone = tensor.use_count() == 1 && tensor.storage().use_count() == 1 && tensor.is_contiguous();
  return alone ? std::move(tensor) : tensor.clone(at::MemoryFormat::Contiguous);
}

/// `inner` becomes U inner U^T, and `factor` goes.
double trace_from_factor(at::Tensor factor, at::Tensor inner, Clip clip) {
  dense::congruence_in_place(inner, factor);
  factor.reset();
  return sum_of_roots(dense::symmetric_eigenvalues(inner), clip);
}

/// Rank deficient on both sides: V sqrt(Lambda) of the one, without its null space, around the other.
double trace_from_eigenpairs(at::Tensor factored, const at::Tensor& inner) {
  auto pairs = dense::symmetric_eigenpairs(factored);
  factored.reset();
  expect_no_negative(pairs.values);
  expect_semidefinite(inner);
  const auto dim = static_cast<int64_t>(pairs.values.size());
  const double floor =
      static_cast<double>(dim) * kEpsilon * (dim > 0 ? std::max(pairs.values.back(), 0.0) : 0.0);
  int64_t null_space = 0;
  while (null_space < dim && pairs.values[null_space] <= floor) {
    ++null_space;
  }
  const auto roots = torch::tensor(pairs.values, at::kDouble).narrow(0, null_space, dim - null_space).sqrt();
  auto rows = pairs.vectors.narrow(0, null_space, dim - null_space);
  rows.mul_(roots.unsqueeze(1));
  const auto product = at::mm(at::mm(rows, inner), rows.t());
  return sum_of_roots(dense::symmetric_eigenvalues(product), Clip::kNoise);
}

TraceSqrt trace_from_covariances(at::Tensor real, at::Tensor fake) {
  real = owned(std::move(real));
  fake = owned(std::move(fake));
  TraceSqrt result;
  result.route = "cholesky";
  result.real_deficient = !dense::cholesky_in_place(real);
  if (result.real_deficient) {
    result.fake_deficient = !dense::cholesky_in_place(fake);
    if (!result.fake_deficient) {
      result.value = trace_from_factor(std::move(fake), std::move(real), Clip::kNoise);
      return result;
    }
    result.route = "eigen";
    result.value = trace_from_eigenpairs(std::move(real), fake);
    return result;
  }
  const auto diagonal = fake.diagonal().clone();
  result.fake_deficient = !dense::cholesky_in_place(fake);
  if (!result.fake_deficient) {
    dense::undo_cholesky(fake, diagonal);
  }
  result.value = trace_from_factor(std::move(real), std::move(fake),
                                   result.fake_deficient ? Clip::kNoise : Clip::kNegative);
  return result;
}

/// Nuclear norm of real fake^T for centred rows.
double trace_from_rows(at::Tensor real, at::Tensor fake) {
  if (real.size(0) > fake.size(0)) {
    std::swap(real, fake);
  }
  auto cross = at::mm(real, fake.t());
  real.reset();
  fake.reset();
  const auto gram = at::mm(cross, cross.t());
  cross.reset();
  return sum_of_roots(dense::symmetric_eigenvalues(gram), Clip::kNoise);
}

double trace_from_gram(const at::Tensor& rows, at::Tensor covariance) {
  expect_semidefinite(covariance);
  auto half = at::mm(rows, covariance);
  covariance.reset();
  const auto gram = at::mm(half, rows.t());
  half.reset();
  return sum_of_roots(dense::symmetric_eigenvalues(gram), Clip::kNoise);
}

void expect_square(const at::Tensor& matrix, const char* name) {
  tensor::expect(matrix, at::kDouble, {-1, -1}, name);
  DDPM_CHECK(matrix.size(0) == matrix.size(1), "{} is {}", name, tensor::describe(matrix));
}

/// A sum is finite only if every term is; unlike isfinite() it needs no memory.
bool all_finite(const at::Tensor& tensor) {
  const auto sum = tensor.sum();
  return sum.is_complex() ? at::isfinite(sum).item<bool>() : std::isfinite(sum.item<double>());
}

}  // namespace

at::Tensor sqrt_symmetric(const at::Tensor& matrix) {
  expect_square(matrix, "matrix");
  const auto input = matrix.contiguous();
  if (input.numel() == 0) {
    return input.clone();
  }
  if (!all_finite(input)) {
    throw core::DataError("a matrix whose square root is wanted holds NaN or infinity");
  }
  if (!tensor::measure_asymmetry(input).acceptable()) {
    throw core::DataError("a matrix whose symmetric square root is wanted is not symmetric");
  }
  auto scratch = input.clone();
  const auto pairs = dense::symmetric_eigenpairs(scratch);
  constexpr double kTolerance = 1e-6;
  if (pairs.values.front() < -kTolerance * std::abs(pairs.values.back())) {
    throw core::DataError(
        "a matrix whose symmetric square root is wanted has the eigenvalue {}: it is no covariance",
        pairs.values.front());
  }
  const auto roots = torch::tensor(pairs.values, at::kDouble).clamp_min(0.0).sqrt();
  return at::mm(pairs.vectors.t() * roots, pairs.vectors);
}

GeneralSqrt sqrt_general(const at::Tensor& matrix) {
  expect_square(matrix, "matrix");
  if (!all_finite(matrix)) {
    throw core::DataError("a matrix whose square root is wanted holds NaN or infinity");
  }
  GeneralSqrt result{dense::complex_sqrt(matrix.contiguous()), 0.0};
  if (!all_finite(result.root)) {
    throw core::DataError(
        "a {} x {} matrix has no square root that could be computed: it is singular or nearly so",
        matrix.size(0), matrix.size(0));
  }
  if (matrix.numel() > 0) {
    result.largest_imaginary = at::imag(result.root).abs().max().item<double>();
  }
  return result;
}

TraceSqrt trace_sqrt_product(Spread real, Spread fake) {
  expect_square(real.covariance, "real covariance");
  tensor::expect(fake.covariance, at::kDouble, real.covariance.sizes(), "fake covariance");
  const int64_t dim = real.covariance.size(0);
  for (const auto* side : {&real, &fake}) {
    if (side->centred.defined()) {
      tensor::expect(side->centred, at::kDouble, {-1, dim}, "centred rows");
    }
  }
  TraceSqrt result;
  result.real_deficient = real.centred.defined();
  result.fake_deficient = fake.centred.defined();
  if (result.real_deficient && result.fake_deficient) {
    result.route = "cross";
    real.covariance.reset();
    fake.covariance.reset();
    result.value = trace_from_rows(std::move(real.centred), std::move(fake.centred));
  } else if (result.real_deficient) {
    result.route = "gram";
    result.value = trace_from_gram(real.centred, std::move(fake.covariance));
  } else if (result.fake_deficient) {
    result.route = "gram";
    result.value = trace_from_gram(fake.centred, std::move(real.covariance));
  } else {
    return trace_from_covariances(std::move(real.covariance), std::move(fake.covariance));
  }
  return result;
}

TraceSqrt trace_sqrt_product_general(const at::Tensor& real, const at::Tensor& fake) {
  expect_square(real, "real covariance");
  tensor::expect(fake, at::kDouble, real.sizes(), "fake covariance");
  TraceSqrt result;
  result.route = "general";
  auto root = dense::complex_sqrt(at::mm(real, fake));
  if (!all_finite(root)) {
    const auto offset = 1e-6 * at::eye(real.size(0), real.options());
    root = sqrt_general(at::mm(real + offset, fake + offset)).root;
    result.note =
        "the product of the covariances is singular: 1e-6 was added to both diagonals, as pytorch-fid does";
  }
  const auto diagonal = root.diagonal();
  constexpr double kLargestImaginary = 1e-3;
  if (diagonal.numel() > 0) {
    const double imaginary = at::imag(diagonal).abs().max().item<double>();
    if (imaginary > kLargestImaginary) {
      throw core::DataError(
          "the general matrix square root has an imaginary part of {:.3g} on its diagonal: use the "
          "symmetric one",
          imaginary);
    }
  }
  result.value = at::real(diagonal).sum().item<double>();
  return result;
}

}  // namespace ddpm_eval::metrics
