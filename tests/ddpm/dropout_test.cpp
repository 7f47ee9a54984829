#include "ddpm/dropout.h"

#include "base/tensor/noise.h"
#include "ddpm/layers.h"
#include "tests/support/tensor_matchers.h"

#include <cmath>

#include <gmock/gmock.h>
#include <torch/types.h>

namespace ddpm_eval::ddpm {
namespace {

using testing::TensorEq;
using testing::TensorNear;

TEST(Dropout, KeepsTheMean) {
  const auto x = to_channels_last(torch::ones({4, 8, 32, 32}));
  const auto y = dropout(x, 0.25, TrainingPass{1, 0}, "test");
  EXPECT_NEAR(y.mean().item<double>(), 1, 5 * std::sqrt(0.25 / 0.75 / x.numel()));
  EXPECT_THAT(y.max(), TensorNear(torch::tensor(1 / 0.75), 1e-6));
  EXPECT_FALSE(torch::equal(dropout(x, 0.25, TrainingPass{1, 0}, "another layer"), y));
}

/// Value and gradient from the mask that the noise says, in every layout and dtype.
TEST(Dropout, IsItsFormulaWithItsGradient) {
  const double rate = 0.3;
  const TrainingPass pass{.seed = 4, .step = 9, .first_row = 2};
  const auto rows = tensor::index_range(2, 5);
  const auto draw = [&](const char* name, int64_t channels) {
    return tensor::normal_rows({1, name}, rows, 0, {channels, 7, 7});
  };
  for (const int64_t channels : {1, 21}) {
    const auto uniform = tensor::uniform_rows({4, "layer"}, rows, 9, {7, 7, channels});
    const auto factor = uniform.ge(rate).permute({0, 3, 1, 2}).to(torch::kFloat64) / (1 - rate);
    for (const auto dtype : {torch::kFloat32, torch::kBFloat16, torch::kFloat64}) {
      const auto plain = draw("x", channels).to(dtype), dy = draw("dy", channels).to(dtype);
      const double tolerance = dtype == torch::kBFloat16 ? 1.0 / 256 : 3e-7;
      for (const auto& x : {plain, to_channels_last(plain)}) {
        const auto leaf = x.clone().requires_grad_(true);
        const auto y = dropout(leaf, rate, pass, "layer");
        y.backward(dy);
        const auto exact = x.to(torch::kFloat64) * factor, gradient = dy.to(torch::kFloat64) * factor;
        EXPECT_EQ(y.scalar_type(), dtype);
        EXPECT_THAT(y.detach(), TensorNear(exact, tolerance * exact.abs().max().item<double>()));
        EXPECT_THAT(leaf.grad(), TensorNear(gradient, tolerance * gradient.abs().max().item<double>()));
      }
    }
  }
}

TEST(Dropout, PartsOfABatchAreThoseOfTheWhole) {
  const auto x = to_channels_last(tensor::normal_rows({1, "x"}, tensor::index_range(0, 6), 0, {16, 4, 4}));
  const auto all = dropout(x, 0.5, TrainingPass{.seed = 1, .step = 2}, "layer");
  const auto part =
      dropout(x.narrow(0, 4, 2), 0.5, TrainingPass{.seed = 1, .step = 2, .first_row = 4}, "layer");
  EXPECT_THAT(part, TensorEq(all.narrow(0, 4, 2)));
}

}  // namespace
}  // namespace ddpm_eval::ddpm
