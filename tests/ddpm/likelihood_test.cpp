#include "ddpm/likelihood.h"

#include "base/core/error.h"
#include "base/tensor/noise.h"
#include "tests/ddpm/formula_network.h"
#include "tests/ddpm/golden_inputs.h"
#include "tests/support/errors.h"
#include "tests/support/tensor_matchers.h"

#include <cmath>
#include <numbers>

#include <gmock/gmock.h>

namespace ddpm_eval::ddpm {
namespace {

using ::testing::HasSubstr;
using testing::message_of;
using testing::TensorEq;
using testing::TensorNear;

const DiffusionProcess& chain_of_40() {
  static const DiffusionProcess process(make_betas({.steps = 40, .rescale = true}));
  return process;
}

/// The best eps for data N(0, s^2).
FormulaNetwork gaussian_network(double s) {
  return FormulaNetwork([s](const at::Tensor& x, const at::Tensor& t) {
    const auto at = static_cast<size_t>(t[0].item<int64_t>());
    const double a = chain_of_40().tables().alpha_bar[at];
    return x * (std::sqrt(1 - a) / (a * s * s + 1 - a));
  });
}

at::Tensor gaussian_points(int64_t n, double s) {
  return tensor::normal_rows({9, "test.points"}, tensor::index_range(0, n), 0, {2}) * s;
}

LikelihoodTerms likelihood_terms(const SamplingModel& model, const LikelihoodOptions& options,
                                 const at::Tensor& x_0, int64_t first_index) {
  LikelihoodBatch batch(model, Decoder::kContinuous, options, x_0, first_index);
  while (!batch.done()) {
    batch.step();
  }
  return batch.terms();
}

BoundReport evaluate(const FormulaNetwork& network, const Parameterisation& meaning,
                     const LikelihoodOptions& options, const at::Tensor& x_0) {
  const SamplingModel model{network, chain_of_40(), meaning};
  BoundSums sums(strata_of(40, options.strata));
  for (int64_t begin = 0; begin < x_0.size(0); begin += options.micro_batch) {
    const int64_t n = std::min(options.micro_batch, x_0.size(0) - begin);
    sums.add(likelihood_terms(model, options, x_0.narrow(0, begin, n), begin));
  }
  return sums.report();
}

/// The entropy of N(0, s^2) in nats: no model can have a smaller expected bound.
double entropy(double s) { return 0.5 * std::log(2 * std::numbers::pi * std::numbers::e * s * s); }

/// The true q(x_{t-1} | x_t) of data N(0, s^2), as eps and log-variance.
FormulaNetwork true_reverse_network(double s) {
  return FormulaNetwork([s](const at::Tensor& x, const at::Tensor& t) {
    const auto& tables = chain_of_40().tables();
    const auto at = static_cast<size_t>(t[0].item<int64_t>());
    const double a = tables.alpha_bar[at], b = 1 - a;
    const double x_0_variance = s * s * b / (a * s * s + b);
    const double variance = tables.beta_tilde[at] + std::pow(tables.posterior_x_0[at], 2) * x_0_variance;
    return torch::cat({x * (std::sqrt(b) / (a * s * s + b)), torch::full_like(x, std::log(variance))}, 1);
  });
}

TEST(Likelihood, TheTrueReverseProcessReachesTheEntropy) {
  const double s = 0.5;
  const auto points = gaussian_points(4000, s);
  const LikelihoodOptions options{.micro_batch = 4000, .clip = false};
  const auto report =
      evaluate(true_reverse_network(s), {.variance = ModelVariance::kLearned}, options, points);
  EXPECT_EQ(report.count, 4000);
  EXPECT_LT(report.total.error, 0.02);
  EXPECT_NEAR(report.total.mean, entropy(s), 4 * report.total.error);
  EXPECT_NEAR(report.total.mean,
              report.regularisation.mean + report.denoising.mean + report.reconstruction.mean, 1e-12);
  ASSERT_EQ(report.curve.size(), 40U);
  double denoising = 0;
  for (size_t t = 1; t < 40; ++t) {
    denoising += report.curve[t].term.mean;
  }
  EXPECT_NEAR(denoising, report.denoising.mean, 1e-12);
  EXPECT_NEAR(report.curve[0].term.mean, report.reconstruction.mean, 1e-12);
}

TEST(Likelihood, AnyOtherVarianceCostsMore) {
  const auto points = gaussian_points(4000, 0.5);
  const LikelihoodOptions options{.micro_batch = 4000, .clip = false};
  const auto best =
      evaluate(true_reverse_network(0.5), {.variance = ModelVariance::kLearned}, options, points).total.mean;
  for (const auto variance : {ModelVariance::kFixedLarge, ModelVariance::kFixedSmall}) {
    // Of the same points and noise.
    EXPECT_GT(evaluate(gaussian_network(0.5), {.variance = variance}, options, points).total.mean, best);
  }
}

TEST(Likelihood, StrataEstimateTheSameWithTheirError) {
  const auto network = gaussian_network(0.5);
  const auto points = gaussian_points(2000, 0.5);
  // A network that is told the t of its first row alone: one point at a time.
  const LikelihoodOptions whole{.micro_batch = 1, .clip = false};
  const LikelihoodOptions part{.strata = 8, .micro_batch = 1, .clip = false};
  const auto full = evaluate(network, {}, whole, points);
  const auto sampled = evaluate(network, {}, part, points);
  ASSERT_EQ(sampled.curve.size(), 8U);
  EXPECT_GT(sampled.denoising.error, full.denoising.error);
  EXPECT_NEAR(sampled.total.mean, full.total.mean, 4 * std::hypot(sampled.total.error, full.total.error));
}

TEST(Likelihood, StrataCoverTheChainOnce) {
  for (const int64_t strata : {0, 2, 7, 40}) {
    int64_t next = 0;
    for (const auto& stratum : strata_of(40, strata)) {
      EXPECT_EQ(stratum.first, next);
      EXPECT_GE(stratum.count, 1);
      next += stratum.count;
    }
    EXPECT_EQ(next, 40);
  }
  EXPECT_EQ(strata_of(40, 0).size(), 40U);
  EXPECT_EQ(strata_of(40, 7).size(), 7U);
  EXPECT_EQ(strata_of(40, 7)[0].count, 1);
}

TEST(Likelihood, AnExampleDependsOnItsIndexAlone) {
  const auto network = gaussian_network(0.5);
  const SamplingModel model{network, chain_of_40(), {}};
  const auto points = gaussian_points(8, 0.5);
  const LikelihoodOptions options{.micro_batch = 8, .clip = false, .seed = 4};
  const auto all = likelihood_terms(model, options, points, 16);
  const auto some = likelihood_terms(model, options, points.narrow(0, 0, 3), 16);
  EXPECT_THAT(some.terms, TensorEq(all.terms.narrow(0, 0, 3)));
  EXPECT_THAT(some.x_0_mse, TensorEq(all.x_0_mse.narrow(0, 0, 3)));
  EXPECT_THAT(some.prior, TensorEq(all.prior.narrow(0, 0, 3)));
}

TEST(Likelihood, ABatchGoesOnWhereItWas) {
  const auto network = gaussian_network(0.5);
  const SamplingModel model{network, chain_of_40(), {}};
  const auto points = gaussian_points(4, 0.5);
  const LikelihoodOptions options{.micro_batch = 4, .clip = false};
  LikelihoodBatch begun(model, Decoder::kContinuous, options, points, 0);
  begun.step();
  begun.step();
  LikelihoodBatch resumed(model, Decoder::kContinuous, options, points, 0);
  resumed.restore(begun.state(), "state");
  while (!resumed.done()) {
    resumed.step();
  }
  EXPECT_THAT(resumed.terms().terms, TensorEq(likelihood_terms(model, options, points, 0).terms));
  LikelihoodBatch other(model, Decoder::kContinuous, options, points.narrow(0, 0, 3), 0);
  EXPECT_THAT(message_of<core::DataError>([&] { other.restore(begun.state(), "state"); }),
              HasSubstr("state: is no state"));
}

TEST(Likelihood, StateGoesOnWhereItWas) {
  const auto network = gaussian_network(0.5);
  const SamplingModel model{network, chain_of_40(), {}};
  const auto points = gaussian_points(8, 0.5);
  const LikelihoodOptions options{.micro_batch = 4, .clip = false};
  const auto first = likelihood_terms(model, options, points.narrow(0, 0, 4), 0);
  const auto second = likelihood_terms(model, options, points.narrow(0, 4, 4), 4);
  BoundSums whole(strata_of(40, 0)), begun(strata_of(40, 0)), resumed(strata_of(40, 0));
  whole.add(first);
  whole.add(second);
  begun.add(first);
  resumed.restore(begun.state(), "state");
  EXPECT_EQ(resumed.count(), 4);
  resumed.add(second);
  EXPECT_EQ(resumed.report().total.mean, whole.report().total.mean);
  EXPECT_EQ(resumed.report().curve[7].term.error, whole.report().curve[7].term.error);
  BoundSums other(strata_of(40, 5));
  EXPECT_THAT(message_of<core::DataError>([&] { other.restore(begun.state(), "state"); }),
              HasSubstr("state: is no state"));
}

TEST(Likelihood, ErrorsAreThoseOfTheMean) {
  BoundSums sums({{0, 1}, {1, 3}});
  sums.add({.prior = torch::tensor({1.0, 1.0, 1.0}, torch::kFloat64),
            .terms = torch::tensor({{2.0, 1.0}, {4.0, 1.0}, {6.0, 1.0}}, torch::kFloat64),
            .x_0_mse = torch::tensor({{0.5, 2.0}, {0.5, 4.0}, {0.5, 6.0}}, torch::kFloat64)});
  const auto report = sums.report();
  EXPECT_DOUBLE_EQ(report.denoising.mean, 3) << "a term stands for the three steps of its stratum";
  EXPECT_DOUBLE_EQ(report.reconstruction.mean, 4);
  EXPECT_DOUBLE_EQ(report.reconstruction.error, 2 / std::sqrt(3.0));
  EXPECT_DOUBLE_EQ(report.total.mean, 8);
  EXPECT_DOUBLE_EQ(report.total.error, 2 / std::sqrt(3.0));
  EXPECT_DOUBLE_EQ(report.curve[1].x_0_mse, 4);
  EXPECT_TRUE(progressive_coding(report).empty()) << "strata skip steps";
}

TEST(Likelihood, CodingSendsTheStepsBeforeTheEstimate) {
  BoundReport report;
  report.regularisation.mean = 0.5;
  for (int64_t t = 0; t < 20; ++t) {
    report.curve.push_back({{t, 1}, {static_cast<double>(t), 0}, 100.0 + static_cast<double>(t)});
  }
  const auto rows = progressive_coding(report);
  ASSERT_EQ(rows.size(), 10U);
  EXPECT_EQ(rows.front().steps, 20);
  EXPECT_DOUBLE_EQ(rows.front().rate, 0.5 + 190) << "all terms but L_0, which is distortion";
  EXPECT_DOUBLE_EQ(rows.front().x_0_mse, 100);
  EXPECT_EQ(rows.back().steps, 2);
  EXPECT_DOUBLE_EQ(rows.back().rate, 0.5 + 19);
  EXPECT_DOUBLE_EQ(rows.back().x_0_mse, 118);
}

TEST(Likelihood, RefusesBadOptions) {
  EXPECT_THAT(message_of<core::UsageError>([] { LikelihoodOptions{.strata = 1}.validate(40); }),
              HasSubstr("strata: 1 is neither 0 (every t) nor within 2..40"));
  EXPECT_THAT(message_of<core::UsageError>([] { LikelihoodOptions{.strata = 41}.validate(40); }),
              HasSubstr("strata: 41"));
  EXPECT_THAT(message_of<core::UsageError>([] { LikelihoodOptions{.micro_batch = 0}.validate(40); }),
              HasSubstr("micro_batch: 0"));
}

}  // namespace
}  // namespace ddpm_eval::ddpm
