#include "ddpm/parameterisation.h"

#include "base/core/error.h"
#include "tests/ddpm/golden_inputs.h"
#include "tests/support/errors.h"
#include "tests/support/tensor_matchers.h"

#include <gmock/gmock.h>

namespace ddpm_eval::ddpm {
namespace {

using ::testing::HasSubstr;
using testing::message_of;
using testing::TensorNear;

TEST(Parameterisation, InputsAreTheGoldenScripts) {
  const GoldenRows rows(golden::kLinear);
  std::vector<double> ends;
  for (const auto& tensor : {rows.x_0, rows.eps, rows.delta, rows.s}) {
    ends.push_back(tensor.flatten()[0].item<double>());
    ends.push_back(tensor.flatten()[11].item<double>());
  }
  EXPECT_EQ(ends, std::vector<double>(golden::kInputEnds.begin(), golden::kInputEnds.end()));
}

TEST(Parameterisation, TargetsAreTheGoldenOnes) {
  for (const auto& rows : golden_rows()) {
    const auto target = [&](Prediction prediction) {
      return training_target(prediction, rows.process, rows.x_0, rows.x_t, rows.t, rows.eps);
    };
    EXPECT_THAT(rows.process.q_sample(rows.x_0, rows.t, rows.eps), TensorNear(rows.x_t, 1e-14));
    EXPECT_THAT(target(Prediction::kEps), TensorNear(rows.eps, 0));
    EXPECT_THAT(target(Prediction::kX0), TensorNear(rows.x_0, 0));
    EXPECT_THAT(target(Prediction::kMuTilde), TensorNear(golden_tensor(rows.terms.target_mu, {6, 2}), 1e-12));
    EXPECT_THAT(target(Prediction::kV), TensorNear(golden_tensor(rows.terms.target_v, {6, 2}), 1e-12));
  }
}

TEST(Parameterisation, X0IsTheGoldenOne) {
  for (const auto& rows : golden_rows()) {
    const auto x_0 = [&](Prediction prediction) {
      return x_0_from_output(prediction, rows.process, rows.x_t, rows.t, rows.output(prediction));
    };
    // Early in the chain both are magnified: a thousandth of a millionth of the largest.
    const auto eps = golden_tensor(rows.terms.x0_from_eps, {6, 2});
    const auto mu = golden_tensor(rows.terms.x0_from_mu, {6, 2});
    EXPECT_THAT(x_0(Prediction::kEps), TensorNear(eps, 1e-9 * eps.abs().max().item<double>()));
    EXPECT_THAT(x_0(Prediction::kMuTilde), TensorNear(mu, 1e-9 * mu.abs().max().item<double>()));
    EXPECT_THAT(x_0(Prediction::kV), TensorNear(golden_tensor(rows.terms.x0_from_v, {6, 2}), 1e-12));
  }
}

TEST(Parameterisation, ReverseMeansAreTheGoldenOnes) {
  for (const auto& rows : golden_rows()) {
    const auto mean = [&](Prediction prediction, bool clip) {
      return reverse_step({.prediction = prediction}, rows.process, rows.x_t, rows.t, rows.output(prediction),
                          clip)
          .mean;
    };
    const auto expect = [&](Prediction prediction, const golden::Values& open,
                            const golden::Values& clipped) {
      EXPECT_THAT(mean(prediction, false), TensorNear(golden_tensor(open, {6, 2}), 1e-11));
      EXPECT_THAT(mean(prediction, true), TensorNear(golden_tensor(clipped, {6, 2}), 1e-11));
    };
    expect(Prediction::kEps, rows.terms.mean_eps, rows.terms.mean_eps_clipped);
    expect(Prediction::kX0, rows.terms.mean_x0, rows.terms.mean_x0_clipped);
    expect(Prediction::kV, rows.terms.mean_v, rows.terms.mean_v_clipped);
    for (const bool clip : {false, true}) {
      EXPECT_THAT(mean(Prediction::kMuTilde, clip), TensorNear(rows.output(Prediction::kMuTilde), 0));
    }
  }
}

TEST(Parameterisation, VariancesAreTheGoldenOnes) {
  for (const auto& rows : golden_rows()) {
    const auto log_variance = [&](ModelVariance variance) {
      const Parameterisation parameterisation{.variance = variance};
      return model_log_variance(parameterisation, rows.process, rows.t, rows.output(parameterisation),
                                rows.x_t);
    };
    EXPECT_THAT(log_variance(ModelVariance::kFixedLarge),
                TensorNear(golden_tensor(rows.terms.log_fixed_large, {6, 1}), 1e-12));
    EXPECT_THAT(log_variance(ModelVariance::kFixedSmall),
                TensorNear(golden_tensor(rows.terms.log_beta_tilde, {6, 1}), 1e-12));
    EXPECT_THAT(log_variance(ModelVariance::kLearned), TensorNear(rows.s - 6, 0));
    EXPECT_THAT(log_variance(ModelVariance::kLearnedRange),
                TensorNear(golden_tensor(rows.terms.log_var_range, {6, 2}), 1e-12));
  }
}

TEST(Parameterisation, TheTargetGivesX0Back) {
  const GoldenRows rows(golden::kCosine);
  for (const auto prediction : {Prediction::kEps, Prediction::kX0, Prediction::kMuTilde, Prediction::kV}) {
    const auto target = training_target(prediction, rows.process, rows.x_0, rows.x_t, rows.t, rows.eps);
    EXPECT_THAT(x_0_from_output(prediction, rows.process, rows.x_t, rows.t, target),
                TensorNear(rows.x_0, 1e-9));
  }
}

TEST(Parameterisation, OnlyEpsNeedsASignalAtTheEnd) {
  const DiffusionProcess jsd(make_betas({.kind = "jsd"}));
  EXPECT_THAT(message_of<core::UsageError>([&] { Parameterisation{}.require_suits(jsd); }),
              HasSubstr("alpha_bar_T is 0"));
  for (const auto prediction : {Prediction::kX0, Prediction::kMuTilde, Prediction::kV}) {
    EXPECT_NO_THROW(Parameterisation{.prediction = prediction}.require_suits(jsd));
  }
}

}  // namespace
}  // namespace ddpm_eval::ddpm
