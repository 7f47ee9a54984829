#pragma once

#include "ddpm/parameterisation.h"
#include "ddpm/process.h"
#include "ddpm/schedule.h"
#include "tests/golden/ddpm_terms.h"
#include "tests/support/synthetic_features.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include <torch/types.h>

// The inputs of tools/golden/ddpm_terms.py, all float64.
namespace ddpm_eval::ddpm {

namespace golden = testing::ddpm_golden;

inline at::Tensor golden_normal(std::string_view name, at::IntArrayRef shape) {
  at::Tensor values = torch::empty(shape, torch::kFloat64);
  for (int64_t i = 0; i < values.numel(); ++i) {
    values.data_ptr<double>()[i] =
        2 * testing::synthetic_bell(testing::fnv1a(name), static_cast<uint64_t>(i));
  }
  return values;
}

inline at::Tensor golden_x_0() {
  at::Tensor values = torch::empty({6, 2}, torch::kFloat64);
  for (int64_t i = 0; i < 12; ++i) {
    const auto byte = testing::splitmix64(testing::fnv1a("ddpm/x_0"), static_cast<uint64_t>(i)) >> 56U;
    const double level = i % 6 == 0 ? 0 : i % 6 == 3 ? 255 : static_cast<double>(byte);
    values.data_ptr<double>()[i] = level / 127.5 - 1;
  }
  return values;
}

template <size_t N>
at::Tensor golden_tensor(const std::array<double, N>& values,
                         at::IntArrayRef shape = {static_cast<int64_t>(N)}) {
  return torch::tensor(std::vector<double>(values.begin(), values.end()), torch::kFloat64).view(shape);
}

/// One schedule with its rows and the outputs of a network that errs.
struct GoldenRows {
  explicit GoldenRows(const golden::Terms& values)
      : terms(values),
        process(make_betas({.kind = std::string(values.schedule), .steps = values.timesteps})),
        t(torch::tensor(std::vector<int64_t>(values.t.begin(), values.t.end()), torch::kInt64)),
        x_t(golden_tensor(values.x_t, {6, 2})) {}

  /// The output's first half for `prediction`.
  at::Tensor output(Prediction prediction) const {
    switch (prediction) {
      case Prediction::kEps:
        return eps + 0.5 * delta;
      case Prediction::kX0:
        return x_0 + 0.4 * delta;
      case Prediction::kMuTilde:
        return x_t + 0.02 * delta;
      default:
        return delta;
    }
  }

  /// The whole output, with a second half where the variance is learned.
  at::Tensor output(const Parameterisation& parameterisation) const {
    const auto mean = output(parameterisation.prediction);
    if (!parameterisation.learns_variance()) {
      return mean;
    }
    return torch::cat({mean, parameterisation.variance == ModelVariance::kLearned ? s - 6 : s}, 1);
  }

  const golden::Terms& terms;
  DiffusionProcess process;
  at::Tensor t;
  at::Tensor x_t;
  at::Tensor x_0 = golden_x_0();
  at::Tensor eps = golden_normal("ddpm/eps", {6, 2});
  at::Tensor delta = golden_normal("ddpm/delta", {6, 2});
  at::Tensor s = golden_normal("ddpm/variance", {6, 2});
};

inline std::vector<GoldenRows> golden_rows() {
  std::vector<GoldenRows> rows;
  rows.emplace_back(golden::kLinear);
  rows.emplace_back(golden::kCosine);
  return rows;
}

}  // namespace ddpm_eval::ddpm
