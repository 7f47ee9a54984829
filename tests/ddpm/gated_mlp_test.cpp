#include "ddpm/gated_mlp.h"

#include "base/core/error.h"
#include "base/tensor/noise.h"
#include "tests/support/errors.h"

#include <cmath>

#include <gmock/gmock.h>
#include <torch/types.h>

namespace ddpm_eval::ddpm {
namespace {

using ::testing::HasSubstr;
using testing::message_of;

at::Tensor points(int64_t n) { return tensor::normal_rows({5, "test"}, tensor::index_range(0, n), 0, {2}); }

TEST(GatedMlp, HasTheNotebooksParameters) {
  // Three gated layers, 2 -> 128 -> 128 -> 128, with 100 gates each, and 128 -> 2.
  const GatedMlp network({}, 2, 2, 100, ParameterMaker(0));
  EXPECT_EQ(count_elements(network.parameters()), 3 * 128 + 2 * 129 * 128 + 3 * 100 * 128 + 129 * 2);
  EXPECT_EQ(network.parameters().size(), 11U);
  EXPECT_EQ(network.forward(points(7), torch::arange(7)).sizes(), (at::IntArrayRef{7, 2}));
}

TEST(GatedMlp, StartsAsPyTorchDoes) {
  const GatedMlp network({}, 2, 2, 100, ParameterMaker(0));
  for (const auto& [name, parameter] : network.parameters()) {
    const double least = parameter.min().item<double>();
    const double most = parameter.max().item<double>();
    if (name.ends_with(".gate")) {
      EXPECT_GE(least, 0) << name;
      EXPECT_LT(most, 1) << name;
      EXPECT_NEAR(parameter.mean().item<double>(), 0.5, 0.02) << name;
    } else {
      const double bound = 1 / std::sqrt(name.starts_with("in.") ? 2.0 : 128.0);
      EXPECT_GE(least, -bound) << name;
      EXPECT_LE(most, bound) << name;
      if (parameter.numel() > 200) {
        EXPECT_NEAR(parameter.std().item<double>(), bound / std::sqrt(3.0), 0.05 * bound) << name;
      }
    }
  }
}

/// The layers one number at a time, in double.
TEST(GatedMlp, IsItsFormula) {
  const GatedMlp network({.width = 3, .layers = 1}, 2, 2, 5, ParameterMaker(3));
  const auto get = [&](const std::string& name) {
    return tensor::find(network.parameters(), name).detach().to(torch::kFloat64);
  };
  const auto dense = [&](const std::string& name, const std::vector<double>& x) {
    const auto weight = get(name + ".weight");
    const auto bias = get(name + ".bias");
    std::vector<double> y;
    for (int64_t row = 0; row < weight.size(0); ++row) {
      double sum = bias[row].item<double>();
      for (int64_t column = 0; column < weight.size(1); ++column) {
        sum += weight[row][column].item<double>() * x[static_cast<size_t>(column)];
      }
      y.push_back(sum);
    }
    return y;
  };
  const auto gated = [&](const std::string& name, const std::vector<double>& x, int64_t t) {
    auto y = dense(name, x);
    for (size_t i = 0; i < y.size(); ++i) {
      y[i] = std::log1p(std::exp(y[i] * get(name + ".gate")[t][static_cast<int64_t>(i)].item<double>()));
    }
    return y;
  };
  const auto x = points(2);
  const auto t = torch::tensor({int64_t{4}, int64_t{1}}, torch::kInt64);
  const auto output = network.forward(x, t);
  for (int64_t n = 0; n < 2; ++n) {
    const int64_t at = t[n].item<int64_t>();
    const std::vector<double> row{x[n][0].item<double>(), x[n][1].item<double>()};
    const auto expected = dense("out", gated("layer.0", gated("in", row, at), at));
    EXPECT_NEAR(output[n][0].item<double>(), expected[0], 1e-6);
    EXPECT_NEAR(output[n][1].item<double>(), expected[1], 1e-6);
  }
}

TEST(GatedMlp, OnlyTheGatesOfTheTSeenAreTrained) {
  const GatedMlp network({.width = 8}, 2, 2, 6, ParameterMaker(0));
  network.forward(points(4), torch::tensor({1, 4, 4, 1}, torch::kInt64)).pow(2).sum().backward();
  for (const auto& [name, parameter] : network.parameters()) {
    EXPECT_GT(parameter.grad().abs().max().item<double>(), 1e-7) << name;
    if (name.ends_with(".gate")) {
      const auto moved = parameter.grad().abs().sum(1).ne(0);
      EXPECT_TRUE(moved.equal(torch::tensor({0, 1, 0, 0, 1, 0}, torch::kBool))) << name;
    }
  }
}

TEST(GatedMlp, RefusesSizesOutOfRange) {
  const auto refusal = [](GatedMlpConfig config) {
    return message_of<core::UsageError>([&] { GatedMlp(config, 2, 2, 10, ParameterMaker(0)); });
  };
  EXPECT_THAT(refusal({.width = 0}), HasSubstr("model.gated_mlp.width: 0 is not within 1..8192"));
  EXPECT_THAT(refusal({.layers = -1}), HasSubstr("model.gated_mlp.layers: -1 is not within 0..100"));
}

}  // namespace
}  // namespace ddpm_eval::ddpm
