#include "ddpm/chain.h"

#include "base/core/error.h"
#include "base/tensor/noise.h"
#include "tests/ddpm/formula_network.h"
#include "tests/ddpm/golden_inputs.h"
#include "tests/support/errors.h"
#include "tests/support/tensor_matchers.h"

#include <cmath>

#include <gmock/gmock.h>

namespace ddpm_eval::ddpm {
namespace {

using ::testing::HasSubstr;
using testing::message_of;
using testing::TensorEq;
using testing::TensorNear;

/// What the golden sampler steps start from, as [2, 6].
struct GoldenStep {
  DiffusionProcess process{make_betas({.steps = 1000})};
  at::Tensor x_0 = golden_x_0().view({2, 6});
  at::Tensor eps = golden_normal("ddpm/eps", {2, 6});
  at::Tensor delta = golden_normal("ddpm/delta", {2, 6});
  at::Tensor x = 0.28 * x_0 + 0.96 * eps;
};

/// One step of DDIM from t = 500 to 400 with the golden noise in place of our own.
at::Tensor ddim_step(const GoldenStep& start, const SampleOptions& options) {
  const std::vector<int64_t> visited{400, 500};
  const auto part = start.process.sub_chain(visited);
  const FormulaNetwork network(
      [&](const at::Tensor&, const at::Tensor&) { return start.eps + 0.3 * start.delta; });
  const SamplingModel model{network, start.process, {}};
  Chain chain(model, part, options, {0, 1}, start.x);
  chain.step(1);
  const double sigma = options.hat_sigma ? std::sqrt(part.tables().beta[1])
                                         : options.eta * std::sqrt(part.tables().beta_tilde[1]);
  const std::vector<int64_t> indices{0, 1};
  const auto own = tensor::normal_rows({options.seed, "sample.noise"}, indices, 500, {6}).to(torch::kFloat64);
  return chain.x() + sigma * (golden_normal("ddpm/z", {2, 6}) - own);
}

TEST(Chain, DdimStepsAreTheGoldenOnes) {
  const GoldenStep start;
  const auto expect = [&](double eta, bool hat_sigma, const std::array<double, 12>& open,
                          const std::array<double, 12>& clipped) {
    SampleOptions options{.sampler = Sampler::kDdim, .eta = eta, .hat_sigma = hat_sigma, .clip = false};
    EXPECT_THAT(ddim_step(start, options), TensorNear(golden_tensor(open, {2, 6}), 1e-11));
    options.clip = true;
    EXPECT_THAT(ddim_step(start, options), TensorNear(golden_tensor(clipped, {2, 6}), 1e-11));
  };
  expect(0, false, golden::kDdimEta0, golden::kDdimEta0Clipped);
  expect(0.5, false, golden::kDdimEtaHalf, golden::kDdimEtaHalfClipped);
  expect(1, false, golden::kDdimEta1, golden::kDdimEta1Clipped);
  expect(1, true, golden::kDdimSigmaHat, golden::kDdimSigmaHatClipped);
}

TEST(Chain, WithoutDerivingAnewEpsIsTheNetworks) {
  const GoldenStep start;
  const auto kept = ddim_step(start, {.sampler = Sampler::kDdim, .clip = true, .rederive = false});
  const auto& tables = start.process.tables();
  const auto x_0 = golden_tensor(golden::kDdimEta0, {2, 6}) -
                   std::sqrt(tables.one_minus_alpha_bar[400]) * (start.eps + 0.3 * start.delta);
  const auto clipped =
      (x_0 / std::sqrt(tables.alpha_bar[400])).clamp(-1, 1) * std::sqrt(tables.alpha_bar[400]);
  EXPECT_THAT(
      kept, TensorNear(clipped + std::sqrt(tables.one_minus_alpha_bar[400]) * (start.eps + 0.3 * start.delta),
                       1e-11));
}

TEST(Chain, DpmSolverStepsAreTheGoldenOnes) {
  const GoldenStep start;
  const auto other = golden_normal("ddpm/other", {2, 6});
  const FormulaNetwork network([&](const at::Tensor&, const at::Tensor& t) {
    return t[0].item<int64_t>() == 700 ? start.x_0 + 0.3 * start.delta : start.x_0 + 0.2 * other;
  });
  const SamplingModel model{network, start.process, {.prediction = Prediction::kX0}};
  const SampleOptions options{.sampler = Sampler::kDpmSolver, .clip = false};
  const std::vector<int64_t> visited{400, 500, 700};
  const auto part = start.process.sub_chain(visited);
  Chain chain(model, part, options, {0, 1}, start.x);
  chain.step(2);
  EXPECT_THAT(chain.x(), TensorNear(golden_tensor(golden::kDpmFirst500, {2, 6}), 1e-11));
  const auto at_500 = chain.x();
  chain.step(1);
  EXPECT_THAT(chain.x(), TensorNear(golden_tensor(golden::kDpmSecond400, {2, 6}), 1e-11));

  const std::vector<int64_t> later{400, 500};
  const auto rest = start.process.sub_chain(later);
  Chain first_order(model, rest, options, {0, 1}, at_500);
  first_order.step(1);
  EXPECT_THAT(first_order.x(), TensorNear(golden_tensor(golden::kDpmFirst400, {2, 6}), 1e-11));
}

TEST(Chain, ThresholdsAreTheGoldenOnes) {
  const GoldenStep start;
  const auto rows = start.delta * torch::tensor({0.3, 2.0}, torch::kFloat64).view({2, 1});
  const FormulaNetwork network([&](const at::Tensor&, const at::Tensor&) { return rows; });
  const SamplingModel model{network, start.process, {.prediction = Prediction::kX0}};
  const SampleOptions options{.dynamic_threshold = 0.995};
  const std::vector<int64_t> visited{0};
  const auto part = start.process.sub_chain(visited);
  Chain chain(model, part, options, {0, 1}, start.x);
  EXPECT_THAT(chain.step(0), TensorNear(golden_tensor(golden::kThresholded, {2, 6}), 1e-12));
}

/// The sample of a chain of 100 steps whose network is right about a single x_0.
at::Tensor sample_of_point(const Parameterisation& meaning, const SampleOptions& options, double point) {
  const DiffusionProcess process(make_betas({.steps = 100, .rescale = true}));
  const FormulaNetwork network([&](const at::Tensor& x, const at::Tensor& t) {
    const auto x_0 = torch::full_like(x, point);
    const auto mean =
        training_target(meaning.prediction, process, x_0, x, t, process.eps_from_x_0(x, t, x_0));
    return meaning.learns_variance() ? torch::cat({mean, torch::full_like(x, -20)}, 1) : mean;
  });
  return sample(network, process, meaning, options, tensor::index_range(0, 6), {2});
}

TEST(Chain, EveryPredictionReachesItsPoint) {
  for (const auto prediction : {Prediction::kEps, Prediction::kX0, Prediction::kMuTilde, Prediction::kV}) {
    for (const auto variance :
         {ModelVariance::kFixedLarge, ModelVariance::kLearnedRange, ModelVariance::kLearned}) {
      const auto x = sample_of_point({prediction, variance}, {.micro_batch = 6}, -0.4);
      EXPECT_THAT(x, TensorNear(torch::full({6, 2}, -0.4), 1e-4));
    }
    const auto x =
        sample_of_point({prediction}, {.sampler = Sampler::kDdim, .steps = 20, .micro_batch = 6}, -0.4);
    EXPECT_THAT(x, TensorNear(torch::full({6, 2}, -0.4), 1e-4));
  }
}

TEST(Chain, AMeanOnAShorterChainGoesThroughX0) {
  const SampleOptions options{.steps = 25, .micro_batch = 6};
  EXPECT_THAT(sample_of_point({Prediction::kMuTilde}, options, 0.3),
              TensorNear(torch::full({6, 2}, 0.3), 1e-4));
}

TEST(Chain, ALearnedVarianceHoldsForTheWholeChainAlone) {
  const Parameterisation learned{Prediction::kEps, ModelVariance::kLearned};
  EXPECT_THAT(message_of<core::UsageError>([&] { sample_of_point(learned, {.steps = 25}, 0); }),
              HasSubstr("a learned variance holds for the full chain of 100"));
  const SampleOptions small{.steps = 25, .variance = SampleVariance::kFixedSmall, .micro_batch = 6};
  EXPECT_THAT(sample_of_point(learned, small, 0.2), TensorNear(torch::full({6, 2}, 0.2), 1e-4));
}

TEST(Chain, ALearnedVarianceIsTheNoiseAdded) {
  // x_0 is always 0, so that the one step before the last adds exp(v / 2) z to its mean.
  const DiffusionProcess process(make_betas({.steps = 2}));
  const FormulaNetwork network([](const at::Tensor& x, const at::Tensor&) {
    return torch::cat({x * 0, x * 0 + 2 * std::log(3.0)}, 1);
  });
  const SamplingModel model{network, process, {Prediction::kX0, ModelVariance::kLearned}};
  const SampleOptions options{.seed = 5};
  const auto x = torch::zeros({1, 4}, torch::kFloat64);
  Chain chain(model, process, options, {7}, x);
  chain.step(1);
  const std::vector<int64_t> indices{7};
  EXPECT_THAT(
      chain.x(),
      TensorNear(3 * tensor::normal_rows({5, "sample.noise"}, indices, 1, {4}).to(torch::kFloat64), 1e-12));
}

}  // namespace
}  // namespace ddpm_eval::ddpm
