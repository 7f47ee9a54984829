#include "base/tensor/product.h"

#include "base/core/error.h"
#include "base/tensor/noise.h"
#include "tests/support/tensor_matchers.h"

#include <gmock/gmock.h>

namespace ddpm_eval::tensor {
namespace {

using testing::TensorNear;

constexpr auto kPlain = Operand::kPlain;
constexpr auto kTransposed = Operand::kTransposed;

at::Tensor matrix(const char* purpose, int64_t rows, int64_t columns) {
  return normal_rows({3, purpose}, index_range(0, rows), 0, {columns});
}

TEST(Product, EqualsLibTorchsInFloat64) {
  struct Shape {
    int64_t rows, inner, columns;
  };
  for (const auto& [rows, inner, columns] : {Shape{128, 128, 128}, {5, 2, 7}, {1, 33, 1}, {40, 1, 3}}) {
    for (const auto as_a : {kPlain, kTransposed}) {
      for (const auto as_b : {kPlain, kTransposed}) {
        const auto a = as_a == kPlain ? matrix("a", rows, inner) : matrix("a", inner, rows);
        const auto b = as_b == kPlain ? matrix("b", inner, columns) : matrix("b", columns, inner);
        const auto exact = torch::mm((as_a == kPlain ? a : a.t()).to(torch::kFloat64),
                                     (as_b == kPlain ? b : b.t()).to(torch::kFloat64));
        EXPECT_THAT(product(a, as_a, b, as_b), TensorNear(exact, 2e-5)) << rows << " " << inner;
      }
    }
  }
}

TEST(Product, OfNothing) {
  const auto none = torch::zeros({0, 3});
  EXPECT_EQ(product(none, kPlain, torch::ones({3, 2}), kPlain).sizes(), (at::IntArrayRef{0, 2}));
  EXPECT_EQ(product(none, kTransposed, torch::ones({0, 2}), kPlain).abs().sum().item<float>(), 0.0F);
}

/// Parts of wider matrices, as q, k and v lie side by side.
TEST(Product, MultipliesWithinWiderRows) {
  if (!has_multiply()) {
    GTEST_SKIP() << "this build has no oneDNN";
  }
  const auto wide = matrix("wide", 6, 15);
  const auto a = wide.narrow(1, 0, 5), b = wide.narrow(1, 5, 5);
  const auto* data = wide.data_ptr<float>();
  auto to = torch::full({6, 9}, 7.0F);
  multiply(6, 5, 6, 0.5F, {data, 15}, {data + 5, 15, kTransposed}, to.data_ptr<float>() + 2, 9);
  EXPECT_THAT(to.narrow(1, 2, 6),
              TensorNear(torch::mm(a.to(torch::kFloat64), b.t().to(torch::kFloat64)) / 2, 1e-5));
  EXPECT_TRUE(to.narrow(1, 0, 2).eq(7).all().item<bool>() && to.narrow(1, 8, 1).eq(7).all().item<bool>());
}

TEST(Product, RefusesWhatDoesNotFit) {
  const auto a = torch::ones({2, 3});
  EXPECT_THROW(product(a, kPlain, a, kPlain), core::LogicError);
  EXPECT_THROW(product(a, kPlain, a.t(), kPlain), core::LogicError);
  EXPECT_THROW(product(a.to(torch::kFloat64), kPlain, a, kTransposed), core::LogicError);
}

}  // namespace
}  // namespace ddpm_eval::tensor
