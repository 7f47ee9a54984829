#include "ddpm/bound.h"
#include "ddpm/t_sampling.h"
#include "tests/ddpm/any_process.h"

#include <cmath>

#include <gmock/gmock.h>
#include <rapidcheck/gtest.h>

// The variational bound's terms, and the t that they are estimated at.
namespace ddpm_eval::ddpm {
namespace {

using testing::any_integer;
using testing::any_normal;
using testing::any_real;

RC_GTEST_PROP(BoundProperties, TheExactPosteriorCostsNothing, ()) {
  const DiffusionProcess process(make_betas(any_gentle_schedule()));
  const auto t = torch::tensor({any_integer(1, process.steps() - 1)}, torch::kInt64);
  const auto x_0 = any_normal({1, 4});
  const auto x_t = process.q_sample(x_0, t, any_normal({1, 4}));
  const double log_variance =
      process.log_variance(Variance::kFixedSmall)[static_cast<size_t>(t.item<int64_t>())];
  ReverseStep step{x_0, process.posterior_mean(x_0, x_t, t),
                   torch::full({1, 4}, log_variance, torch::kFloat64)};
  for (const auto decoder : {Decoder::kContinuous, Decoder::kDiscretised}) {
    RC_ASSERT(std::abs(bound_terms(process, decoder, x_0, x_t, t, step).item<double>()) < 1e-12);
  }
  // And anything else costs something.
  auto other = step;
  other.mean = step.mean + any_real(0.1, 2) * std::exp(log_variance / 2);
  RC_ASSERT(bound_terms(process, Decoder::kContinuous, x_0, x_t, t, other).item<double>() > 1e-3);
  other = step;
  other.log_variance = step.log_variance + any_real(0.1, 2);
  RC_ASSERT(bound_terms(process, Decoder::kContinuous, x_0, x_t, t, other).item<double>() > 1e-3);
}

RC_GTEST_PROP(BoundProperties, TheLevelsProbabilitiesSumToOne, ()) {
  const auto levels = torch::arange(256, torch::kFloat64) / 127.5 - 1;
  const auto mean = torch::full({256}, any_real(-1.5, 1.5), torch::kFloat64);
  const auto log_variance = torch::full({256}, any_real(-12, 3), torch::kFloat64);
  const double sum = discretised_log_likelihood(levels, mean, log_variance).exp().sum().item<double>();
  // Each is floored at 1e-12.
  RC_ASSERT(std::abs(sum - 1) < 1e-9);
}

RC_GTEST_PROP(TSamplingProperties, ImportanceIsADistributionAndItsEstimateUnbiased, ()) {
  const int64_t steps = any_integer(2, 12);
  TSampler sampler(TSampling::kImportance, steps, static_cast<uint64_t>(any_integer(0, 1000)));
  std::vector<double> loss;
  for (int64_t t = 0; t < steps; ++t) {
    loss.push_back(any_real(0.05, 5));
    // More than the ten that are remembered.
    const int64_t known = any_integer(10, 15);
    sampler.record(torch::full({known}, t, torch::kInt64),
                   torch::full({known}, loss.back(), torch::kFloat64));
  }
  const auto p = sampler.probabilities();
  double total = 0, expected = 0, second = 0;
  for (size_t t = 0; t < p.size(); ++t) {
    RC_ASSERT(p[t] > 0);
    total += p[t];
    expected += loss[t] / static_cast<double>(steps);
    second += loss[t] * loss[t] / (p[t] * static_cast<double>(steps * steps));
  }
  RC_ASSERT(std::abs(total - 1) < 1e-12);

  constexpr int64_t kDraws = 4000;
  const auto draw = sampler.draw(/*step=*/any_integer(0, 1000), kDraws);
  double mean = 0, weights = 0;
  for (int64_t i = 0; i < kDraws; ++i) {
    const auto t = static_cast<size_t>(draw.t[i].item<int64_t>());
    const double weight = draw.weight[i].item<double>();
    RC_ASSERT(std::abs(weight * static_cast<double>(steps) * p[t] - 1) < 1e-12);
    mean += weight * loss[t] / kDraws;
    weights += weight / kDraws;
  }
  // Six standard errors of the estimate; its variance is small, which is what importance is for.
  const double error = std::sqrt(std::max(0.0, second - expected * expected) / kDraws);
  RC_ASSERT(std::abs(mean - expected) < 6 * error + 1e-9);
  double weight_second = 0;
  for (const double share : p) {
    weight_second += 1 / (share * static_cast<double>(steps * steps));
  }
  RC_ASSERT(std::abs(weights - 1) < 6 * std::sqrt(std::max(0.0, weight_second - 1) / kDraws) + 1e-9);
}

}  // namespace
}  // namespace ddpm_eval::ddpm
