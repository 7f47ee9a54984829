#include "ddpm/mlp.h"

#include "base/core/error.h"
#include "base/tensor/noise.h"
#include "tests/support/errors.h"
#include "tests/support/tensor_matchers.h"

#include <gmock/gmock.h>

namespace ddpm_eval::ddpm {
namespace {

using ::testing::HasSubstr;
using testing::message_of;

at::Tensor points(int64_t n) { return tensor::normal_rows({5, "test"}, tensor::index_range(0, n), 0, {2}); }

TEST(Mlp, HasTheExpectedParametersAndShape) {
  const Mlp network({}, 2, 2, ParameterMaker(0));
  // time 128 -> 128 -> 512, in 2 -> 128, three of 128 -> 128, out 128 -> 2.
  EXPECT_EQ(count_elements(network.parameters()), 129 * 128 + 129 * 512 + 3 * 128 + 3 * 129 * 128 + 129 * 2);
  EXPECT_EQ(network.parameters().size(), 14U);
  const auto output = network.forward(points(7), torch::arange(7));
  EXPECT_EQ(output.sizes(), (at::IntArrayRef{7, 2}));
  EXPECT_LT(output.abs().max().item<double>(), 1e-3);
}

TEST(Mlp, EveryParameterGetsAGradientAndTimeMatters) {
  for (const bool residual : {false, true}) {
    const Mlp network({.width = 16, .residual = residual}, 2, 2, ParameterMaker(0));
    {
      const at::NoGradGuard no_grad;
      for (const auto& named : network.parameters()) {
        at::Tensor(named.tensor).mul_(named.name == "out.weight" ? 1e5 : 1).add_(0.01);
      }
    }
    const auto output = network.forward(points(7), torch::arange(7) * 9);
    output.pow(2).sum().backward();
    for (const auto& [name, parameter] : network.parameters()) {
      EXPECT_GT(parameter.grad().abs().max().item<double>(), 1e-7) << name;
    }
    EXPECT_FALSE(torch::allclose(output, network.forward(points(7), torch::arange(7) * 9 + 50)));
  }
}

TEST(Mlp, RefusesSizesOutOfRange) {
  const auto refusal = [](MlpConfig config) {
    return message_of<core::UsageError>([&] { Mlp(config, 2, 2, ParameterMaker(0)); });
  };
  EXPECT_THAT(refusal({.width = 3}), HasSubstr("model.mlp.width: 3"));
  EXPECT_THAT(refusal({.layers = 0}), HasSubstr("model.mlp.layers: 0"));
}

}  // namespace
}  // namespace ddpm_eval::ddpm
