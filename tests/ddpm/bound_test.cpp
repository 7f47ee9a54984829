#include "ddpm/bound.h"

#include "tests/ddpm/golden_inputs.h"
#include "tests/support/tensor_matchers.h"

#include <cmath>
#include <numbers>

#include <gmock/gmock.h>

namespace ddpm_eval::ddpm {
namespace {

using testing::TensorNear;

/// The bound's terms of the golden rows in bits.
at::Tensor terms_of(const GoldenRows& rows, Prediction prediction, ModelVariance variance, bool clip) {
  const Parameterisation parameterisation{prediction, variance};
  const auto step =
      reverse_step(parameterisation, rows.process, rows.x_t, rows.t, rows.output(parameterisation), clip);
  return bound_terms(rows.process, Decoder::kDiscretised, rows.x_0, rows.x_t, rows.t, step);
}

TEST(Bound, TermsAreTheGoldenOnes) {
  for (const auto& rows : golden_rows()) {
    const auto expect = [&](ModelVariance variance, const golden::Rows& eps, const golden::Rows& eps_clipped,
                            const golden::Rows& mu) {
      const auto near = [](const golden::Rows& values) {
        const auto want = golden_tensor(values);
        return TensorNear(want, 1e-9 * want.abs().max().item<double>());
      };
      EXPECT_THAT(terms_of(rows, Prediction::kEps, variance, false), near(eps));
      EXPECT_THAT(terms_of(rows, Prediction::kEps, variance, true), near(eps_clipped));
      EXPECT_THAT(terms_of(rows, Prediction::kMuTilde, variance, true), near(mu));
    };
    const auto& want = rows.terms;
    expect(ModelVariance::kFixedLarge, want.bound_eps_large, want.bound_eps_clipped_large,
           want.bound_mu_large);
    expect(ModelVariance::kFixedSmall, want.bound_eps_small, want.bound_eps_clipped_small,
           want.bound_mu_small);
    expect(ModelVariance::kLearned, want.bound_eps_learned, want.bound_eps_clipped_learned,
           want.bound_mu_learned);
    expect(ModelVariance::kLearnedRange, want.bound_eps_range, want.bound_eps_clipped_range,
           want.bound_mu_range);
  }
}

TEST(Bound, ThePriorIsTheGoldenOne) {
  for (const auto& rows : golden_rows()) {
    const auto want = golden_tensor(rows.terms.prior);
    EXPECT_THAT(prior_terms(rows.process, Decoder::kDiscretised, rows.x_0),
                TensorNear(want, 1e-9 * want.abs().max().item<double>()));
    EXPECT_THAT(prior_terms(rows.process, Decoder::kContinuous, rows.x_0),
                TensorNear(want * std::numbers::ln2, 1e-9 * want.abs().max().item<double>()));
  }
}

TEST(Bound, TheDecodersAreTheGoldenOnes) {
  const GoldenRows rows(golden::kLinear);
  const auto mean = rows.x_0 + 0.05 * rows.delta;
  const auto log_variance = rows.s - 9;
  // 1 - cdf cancels in the tail: relative to the floor of 1e-12, double's epsilon is 2e-4.
  EXPECT_THAT(discretised_log_likelihood(rows.x_0, mean, log_variance).flatten(),
              TensorNear(golden_tensor(golden::kLogLikelihoodTanh), 2e-4));
  EXPECT_THAT(gaussian_log_density(rows.x_0, mean, log_variance).flatten(),
              TensorNear(golden_tensor(golden::kLogDensity), 1e-11));
}

TEST(Bound, ContinuousTermsAreADensityInNats) {
  for (const auto& rows : golden_rows()) {
    const auto t = torch::zeros({6}, torch::kInt64);
    const auto x_t = rows.process.q_sample(rows.x_0, t, rows.eps);
    const auto step = reverse_step({}, rows.process, x_t, t, rows.eps + 0.5 * rows.delta, /*clip=*/false);
    EXPECT_THAT(bound_terms(rows.process, Decoder::kContinuous, rows.x_0, x_t, t, step),
                TensorNear(golden_tensor(rows.terms.l0_eps_fixed_continuous), 1e-9));
  }
}

TEST(Bound, TheDiscretisedLikelihoodSumsToOne) {
  const auto x = torch::arange(256, torch::kFloat64).div_(127.5).sub_(1).view({256, 1});
  const auto means = torch::tensor({-1.2, -1.0, -0.3, 0.0, 0.77, 1.0, 1.5}, torch::kFloat64).view({1, 7});
  for (const double log_variance : {-12.0, -9.8, -4.0, 0.0, 2.0}) {
    const auto p =
        discretised_log_likelihood(x, means, torch::full({1, 7}, log_variance, torch::kFloat64)).exp().sum(0);
    EXPECT_THAT(p, TensorNear(torch::ones({7}, torch::kFloat64), 256 * 1e-12)) << log_variance;
  }
}

TEST(Bound, AnExactPosteriorHasNoDivergence) {
  const GoldenRows rows(golden::kLinear);
  const auto step = reverse_step({Prediction::kX0, ModelVariance::kFixedSmall}, rows.process, rows.x_t,
                                 rows.t, rows.x_0, /*clip=*/false);
  const auto terms = bound_terms(rows.process, Decoder::kDiscretised, rows.x_0, rows.x_t, rows.t, step);
  EXPECT_THAT(terms.narrow(0, 1, 5), TensorNear(torch::zeros({5}, torch::kFloat64), 1e-15));
}

TEST(Bound, ADivergenceIsThatOfItsIntegral) {
  // KL between one-dimensional Gaussians by the trapezoidal rule over 16 standard deviations.
  const double m_1 = 0.3, v_1 = 0.5, m_2 = -0.4, v_2 = 1.7;
  const auto z = torch::linspace(-8, 8, 20001, torch::kFloat64) * std::sqrt(v_1) + m_1;
  const auto constant = [](double value) { return torch::tensor(value, torch::kFloat64); };
  const auto log_p = gaussian_log_density(z, constant(m_1), constant(std::log(v_1)));
  const auto log_q = gaussian_log_density(z, constant(m_2), constant(std::log(v_2)));
  const double integral = torch::trapezoid(log_p.exp() * (log_p - log_q), z).item<double>();
  EXPECT_NEAR(normal_kl(constant(m_1), constant(std::log(v_1)), constant(m_2), constant(std::log(v_2)))
                  .item<double>(),
              integral, 1e-10);
}

TEST(Bound, GradientsStayFiniteWhereTheOtherBranchOverflows) {
  const GoldenRows rows(golden::kLinear);
  const Parameterisation learned{Prediction::kEps, ModelVariance::kLearned};
  auto output = rows.output(learned).clone();
  output[0].narrow(0, 2, 2).fill_(-800);  // at t = 0 the divergence of this variance is infinite
  output.requires_grad_(true);
  const auto step = reverse_step(learned, rows.process, rows.x_t, rows.t, output, /*clip=*/false);
  bound_terms(rows.process, Decoder::kDiscretised, rows.x_0, rows.x_t, rows.t, step).sum().backward();
  EXPECT_TRUE(output.grad().isfinite().all().item<bool>());
}

}  // namespace
}  // namespace ddpm_eval::ddpm
