#include "ddpm/parameterisation.h"
#include "ddpm/process.h"
#include "ddpm/sampler.h"
#include "tests/ddpm/any_process.h"

#include <algorithm>
#include <cmath>

#include <gmock/gmock.h>
#include <rapidcheck/gtest.h>

// Identities of the forward process, its posterior and what may be predicted, for any schedule.
namespace ddpm_eval::ddpm {
namespace {

using testing::any_integer;
using testing::any_normal;
using testing::any_real;
using testing::near;

/// A point on its way: everything that a prediction converts between.
struct Noised {
  DiffusionProcess process{make_betas(any_gentle_schedule())};
  at::Tensor t = torch::tensor({any_integer(0, process.steps() - 1), any_integer(0, process.steps() - 1)},
                               torch::kInt64);
  at::Tensor x_0 = any_normal({2, 3});
  at::Tensor eps = any_normal({2, 3});
  at::Tensor x_t = process.q_sample(x_0, t, eps);
};

RC_GTEST_PROP(ScheduleProperties, BetasAreVariancesAndSignalFalls, ()) {
  ScheduleConfig config;
  config.kind = *rc::gen::element<std::string>("linear", "quad", "sigmoid", "cosine", "const", "warmup10",
                                               "warmup50", "jsd");
  config.steps = any_integer(1, 1500);
  config.beta_start = std::pow(10, any_real(-6, -1));
  config.beta_end = any_real(config.beta_start, 1);
  const auto tables = DiffusionProcess(make_betas(config)).tables();
  RC_ASSERT(tables.beta.size() == static_cast<size_t>(config.steps));
  double before = 1;
  for (size_t t = 0; t < tables.beta.size(); ++t) {
    RC_ASSERT(tables.beta[t] > 0);
    RC_ASSERT(tables.beta[t] <= 1);
    // Strictly, until it underflows.
    RC_ASSERT(tables.alpha_bar[t] < before || (before < 1e-300 && tables.alpha_bar[t] <= before));
    RC_ASSERT(std::abs(tables.alpha_bar[t] + tables.one_minus_alpha_bar[t] - 1) < 1e-12);
    RC_ASSERT(tables.beta_tilde[t] <= tables.beta[t]);
    before = tables.alpha_bar[t];
  }
}

RC_GTEST_PROP(ProcessProperties, SubChainsComposeToTheWholeProcess, ()) {
  const DiffusionProcess process(make_betas(any_gentle_schedule()));
  const auto timesteps = any_timesteps(process.steps());
  const auto part = process.sub_chain(timesteps);
  // q(x_t | x_0), step by step of the part alone: N(scale x_0, variance).
  double scale = 1;
  double variance = 0;
  for (size_t i = 0; i < timesteps.size(); ++i) {
    const auto t = static_cast<size_t>(timesteps[i]);
    const double beta = part.tables().beta[i];
    scale *= std::sqrt(1 - beta);
    variance = (1 - beta) * variance + beta;
    RC_ASSERT(std::abs(scale * scale / process.tables().alpha_bar[t] - 1) < 1e-10);
    RC_ASSERT(std::abs(variance / process.tables().one_minus_alpha_bar[t] - 1) < 1e-9);
    RC_ASSERT(part.original_t(static_cast<int64_t>(i)) == timesteps[i]);
  }
  // A part of the part is a part of the whole.
  const auto fewer = any_timesteps(part.steps());
  std::vector<int64_t> direct;
  std::transform(fewer.begin(), fewer.end(), std::back_inserter(direct),
                 [&](int64_t i) { return timesteps[static_cast<size_t>(i)]; });
  const auto nested = part.sub_chain(fewer);
  const auto flat = process.sub_chain(direct);
  for (int64_t i = 0; i < nested.steps(); ++i) {
    RC_ASSERT(nested.original_t(i) == flat.original_t(i));
    const auto at = static_cast<size_t>(i);
    RC_ASSERT(std::abs(nested.tables().beta[at] / flat.tables().beta[at] - 1) < 1e-9);
  }
}

RC_GTEST_PROP(ProcessProperties, ThePosteriorMeanInX0FormIsTheEpsForm, ()) {
  const Noised noised;
  const auto mean = noised.process.posterior_mean(
      noised.process.x_0_from_eps(noised.x_t, noised.t, noised.eps), noised.x_t, noised.t);
  for (int64_t n = 0; n < 2; ++n) {
    const auto t = static_cast<size_t>(noised.t[n].item<int64_t>());
    const auto& tables = noised.process.tables();
    const double weight = tables.beta[t] / std::sqrt(tables.one_minus_alpha_bar[t]);
    // Ho et al. 2020, eq. 11.
    const auto expected = (noised.x_t[n] - weight * noised.eps[n]) / std::sqrt(1 - tables.beta[t]);
    RC_ASSERT(near(mean[n], expected, 1e-9));
  }
}

RC_GTEST_PROP(ProcessProperties, PredictionsAreConvertedThereAndBack, ()) {
  const Noised noised;
  for (const auto prediction : {Prediction::kEps, Prediction::kX0, Prediction::kMuTilde, Prediction::kV}) {
    const auto target =
        training_target(prediction, noised.process, noised.x_0, noised.x_t, noised.t, noised.eps);
    const auto x_0 = x_0_from_output(prediction, noised.process, noised.x_t, noised.t, target);
    RC_ASSERT(near(x_0, noised.x_0, 1e-6));
    const auto eps = noised.process.eps_from_x_0(noised.x_t, noised.t, x_0);
    RC_ASSERT(near(eps, noised.eps, 1e-6));
    RC_ASSERT(
        near(training_target(prediction, noised.process, x_0, noised.x_t, noised.t, eps), target, 1e-6));
  }
  // v is the other leg of the right angle whose legs are x_0 and eps (Salimans & Ho 2022).
  const auto v = noised.process.v_from(noised.x_0, noised.t, noised.eps);
  RC_ASSERT(near(v.square() + noised.x_t.square(), noised.x_0.square() + noised.eps.square(), 1e-9));
}

RC_GTEST_PROP(SpacingProperties, StepsAscendWithinTheChain, ()) {
  const int64_t chain = any_integer(1, 1200);
  const int64_t steps = any_integer(1, chain);
  for (const auto spacing :
       {Spacing::kUniform, Spacing::kLeading, Spacing::kTrailing, Spacing::kLinspace, Spacing::kQuad}) {
    const auto visited = spaced_steps(spacing, chain, steps);
    RC_ASSERT(!visited.empty());
    RC_ASSERT(visited.front() >= 0);
    RC_ASSERT(visited.back() < chain);
    RC_ASSERT(std::adjacent_find(visited.begin(), visited.end(), std::greater_equal<>()) == visited.end());
    // Only squares fall together.
    RC_ASSERT(spacing == Spacing::kQuad || visited.size() == static_cast<size_t>(steps));
    const bool reaches_the_end =
        spacing == Spacing::kUniform || spacing == Spacing::kLinspace || spacing == Spacing::kTrailing;
    RC_ASSERT(!reaches_the_end || visited.back() == chain - 1);
  }
}

}  // namespace
}  // namespace ddpm_eval::ddpm
