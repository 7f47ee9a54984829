#include "metrics/matrix_sqrt.h"

#include "base/core/error.h"
#include "tests/support/errors.h"
#include "tests/support/synthetic_features.h"
#include "tests/support/tensor_matchers.h"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>

namespace ddpm_eval::metrics {
namespace {

using ::testing::HasSubstr;
using testing::message_of;
using testing::synthetic_features;
using testing::TensorNear;

/// float64 [count, dim].
at::Tensor random_rows(uint64_t seed, int64_t count, int64_t dim) {
  return synthetic_features({seed, count}, dim).to(at::kDouble);
}

/// Symmetric, positive semi-definite of rank min(rank, dim).
at::Tensor random_psd(uint64_t seed, int64_t dim, int64_t rank) {
  const auto rows = random_rows(seed, rank, dim);
  return at::mm(rows.t(), rows) / static_cast<double>(rank);
}

at::Tensor random_rotation(uint64_t seed, int64_t dim) {
  return std::get<1>(torch::linalg_eigh(random_psd(seed, dim, 2 * dim)));
}

/// T S T for a symmetric positive definite T, which is the optimal transport map between the two normals: the
/// trace is exactly tr(S T), although the two covariances do not commute (Gelbrich 1990).
struct Transported {
  at::Tensor real;
  at::Tensor map;
  at::Tensor fake() const { return at::mm(at::mm(map, real), map); }
  double trace_sqrt() const { return at::mm(real, map).trace().item<double>(); }
};

Transported transported(int64_t dim, int64_t rank) {
  return {random_psd(1, dim, rank), random_psd(2, dim, 3 * dim) + 0.1 * torch::eye(dim, at::kDouble)};
}

TEST(MatrixSqrt, SymmetricRootSquaresBack) {
  for (const int64_t rank : {60, 7}) {
    const auto matrix = random_psd(3, 30, rank);
    const auto root = sqrt_symmetric(matrix);
    EXPECT_THAT(at::mm(root, root), TensorNear(matrix, 1e-13));
    EXPECT_THAT(root, TensorNear(root.t(), 1e-14));
  }
  EXPECT_EQ(sqrt_symmetric(torch::zeros({0, 0}, at::kDouble)).numel(), 0);
}

TEST(MatrixSqrt, SymmetricRootOfADiagonal) {
  const auto root = sqrt_symmetric(torch::diag(torch::tensor({4.0, 0.0, 9.0}, at::kDouble)));
  EXPECT_THAT(root, TensorNear(torch::diag(torch::tensor({2.0, 0.0, 3.0}, at::kDouble)), 1e-15));
}

TEST(MatrixSqrt, SymmetricRootRefusesWhatIsNoCovariance) {
  auto matrix = torch::eye(3, at::kDouble);
  matrix[0][1] = 0.5;
  EXPECT_THAT(message_of<core::DataError>([&] { sqrt_symmetric(matrix); }), HasSubstr("not symmetric"));
  EXPECT_THAT(message_of<core::DataError>([&] {
                sqrt_symmetric(torch::diag(torch::tensor({1.0, -0.5}, at::kDouble)));
              }),
              HasSubstr("eigenvalue -0.5"));
  matrix[2][2] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(message_of<core::DataError>([&] { sqrt_symmetric(matrix); }), HasSubstr("NaN"));
}

TEST(MatrixSqrt, GeneralRootSquaresBack) {
  const auto matrix = at::mm(random_psd(4, 20, 40), random_psd(5, 20, 40));
  const auto result = sqrt_general(matrix);
  EXPECT_THAT(at::real(at::mm(result.root, result.root)), TensorNear(matrix, 1e-12));
  EXPECT_LT(result.largest_imaginary, 1e-10);
}

TEST(MatrixSqrt, GeneralRootMayBeComplex) {
  const auto imaginary = sqrt_general(torch::full({1, 1}, -4.0, at::kDouble));
  EXPECT_NEAR(imaginary.largest_imaginary, 2.0, 1e-15);
  // A quarter turn's principal root is an eighth turn.
  const auto turn = sqrt_general(torch::tensor({0.0, -1.0, 1.0, 0.0}, at::kDouble).view({2, 2}));
  const double s = std::sqrt(0.5);
  EXPECT_THAT(at::real(turn.root), TensorNear(torch::tensor({s, -s, s, s}, at::kDouble).view({2, 2}), 1e-14));
  EXPECT_LT(turn.largest_imaginary, 1e-14);
}

TEST(MatrixSqrt, GeneralRootRefusesAMatrixWithoutOne) {
  const auto nilpotent = torch::tensor({0.0, 1.0, 0.0, 0.0}, at::kDouble).view({2, 2});
  EXPECT_THAT(message_of<core::DataError>([&] { sqrt_general(nilpotent); }), HasSubstr("singular"));
}

TEST(TraceSqrtProduct, FullRankByCholesky) {
  for (const int64_t dim : {1, 5, 64, 300}) {
    const auto pair = transported(dim, 2 * dim);
    const auto result = trace_sqrt_product({pair.real, {}}, {pair.fake(), {}});
    EXPECT_EQ(result.route, "cholesky");
    EXPECT_FALSE(result.real_deficient || result.fake_deficient);
    EXPECT_NEAR(result.value, pair.trace_sqrt(), 1e-11 * pair.trace_sqrt()) << dim;
  }
}

TEST(TraceSqrtProduct, BothDeficientByEigenvectors) {
  const auto pair = transported(80, 30);
  const auto result = trace_sqrt_product({pair.real, {}}, {pair.fake(), {}});
  EXPECT_EQ(result.route, "eigen");
  EXPECT_TRUE(result.real_deficient && result.fake_deficient);
  EXPECT_NEAR(result.value, pair.trace_sqrt(), 1e-9 * pair.trace_sqrt());
}

TEST(TraceSqrtProduct, CentredRowsByTheCrossMatrix) {
  const auto pair = transported(80, 30);
  const auto rows = random_rows(1, 30, 80) / std::sqrt(30.0);
  const auto result = trace_sqrt_product({pair.real, rows}, {pair.fake(), at::mm(rows, pair.map)});
  EXPECT_EQ(result.route, "cross");
  EXPECT_NEAR(result.value, pair.trace_sqrt(), 1e-11 * pair.trace_sqrt());
}

// Commuting covariances: the sum of sqrt(a_i b_i), of which only the first 20 directions count.
TEST(TraceSqrtProduct, OneDeficientSideByGramOrCholesky) {
  const int64_t dim = 60;
  const int64_t rank = 20;
  const auto axes = random_rotation(6, dim);
  const auto a = torch::linspace(0.5, 3.0, rank, at::kDouble);
  const auto b = torch::linspace(4.0, 0.1, dim, at::kDouble);
  const auto rows = axes.narrow(0, 0, rank) * a.sqrt().unsqueeze(1);
  const auto deficient = at::mm(rows.t(), rows);
  const auto full = at::mm(axes.t() * b, axes);
  const double want = (a * b.narrow(0, 0, rank)).sqrt().sum().item<double>();

  const auto gram = trace_sqrt_product({deficient, rows}, {full, {}});
  EXPECT_EQ(gram.route, "gram");
  EXPECT_NEAR(gram.value, want, 1e-11 * want);
  EXPECT_NEAR(trace_sqrt_product({full, {}}, {deficient, rows}).value, want, 1e-11 * want);

  const auto first = trace_sqrt_product({deficient, {}}, {full, {}});
  EXPECT_EQ(first.route, "cholesky");
  EXPECT_TRUE(first.real_deficient);
  EXPECT_FALSE(first.fake_deficient);
  EXPECT_NEAR(first.value, want, 1e-9 * want);
  const auto second = trace_sqrt_product({full, {}}, {deficient, {}});
  EXPECT_TRUE(second.fake_deficient);
  EXPECT_NEAR(second.value, want, 1e-9 * want);
}

TEST(TraceSqrtProduct, ZeroCovariances) {
  const auto zero = torch::zeros({4, 4}, at::kDouble);
  EXPECT_EQ(trace_sqrt_product({zero, {}}, {zero, {}}).value, 0.0);
  EXPECT_EQ(trace_sqrt_product({torch::eye(4, at::kDouble), {}}, {zero, {}}).value, 0.0);
}

TEST(TraceSqrtProduct, LeavesSharedTensorsAlone) {
  const auto pair = transported(40, 80);
  const auto fake = pair.fake();
  const auto real_before = pair.real.clone();
  const auto fake_before = fake.clone();
  trace_sqrt_product({pair.real, {}}, {fake, {}});
  trace_sqrt_product_general(pair.real, fake);
  EXPECT_THAT(pair.real, testing::TensorEq(real_before));
  EXPECT_THAT(fake, testing::TensorEq(fake_before));
}

TEST(TraceSqrtProduct, GeneralAgreesAtFullRank) {
  const auto pair = transported(50, 100);
  const auto result = trace_sqrt_product_general(pair.real, pair.fake());
  EXPECT_EQ(result.route, "general");
  EXPECT_TRUE(result.note.empty());
  EXPECT_NEAR(result.value, pair.trace_sqrt(), 1e-10 * pair.trace_sqrt());
}

TEST(TraceSqrtProduct, GeneralOffsetsASingularProduct) {
  auto a = torch::zeros({3, 3}, at::kDouble);
  a[0][0] = 4.0;
  const auto result = trace_sqrt_product_general(a, a);
  EXPECT_THAT(result.note, HasSubstr("1e-6"));
  EXPECT_NEAR(result.value, 4.0 + 3e-6, 1e-9);
}

}  // namespace
}  // namespace ddpm_eval::metrics
