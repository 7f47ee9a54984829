#include "ddpm/process.h"

#include "base/core/error.h"
#include "base/tensor/noise.h"
#include "ddpm/schedule.h"
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

DiffusionProcess paper() { return DiffusionProcess(make_betas({})); }

constexpr size_t kSomeSteps[] = {0, 1, 2, 10, 100, 500, 999};

/// Relative comparison at the number of digits that a constant is quoted with.
void expect_digits(const std::vector<double>& table, const std::vector<double>& want, double relative) {
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_NEAR(table[kSomeSteps[i]], want[i], relative * std::abs(want[i])) << "t = " << kSomeSteps[i];
  }
}

at::Tensor draws(const char* purpose, int64_t n = 7) {
  return tensor::normal_rows({3, purpose}, tensor::index_range(0, n), 0, {1, 4, 4}).to(torch::kFloat64);
}

const at::Tensor kSteps = torch::tensor({0, 1, 2, 10, 100, 500, 999}, torch::kInt64);

TEST(Process, PaperScheduleHasThePapersConstants) {
  const auto process = paper();
  const auto& tables = process.tables();
  EXPECT_NEAR(tables.alpha_bar.back(), 4.03583e-5, 5e-11);
  EXPECT_NEAR(std::sqrt(tables.alpha_bar.back()), 0.00635282, 5e-9);
  EXPECT_NEAR(tables.one_minus_alpha_bar.back(), 0.99995964, 5e-9);
  EXPECT_NEAR(std::sqrt(tables.one_minus_alpha_bar.back()), 0.9999798, 5e-8);
  EXPECT_NEAR(tables.alpha_bar[499], 0.07859, 5e-6);
  EXPECT_NEAR(tables.alpha_bar[500], 0.07780, 5e-6);
  EXPECT_EQ(tables.beta_tilde[0], 0.0);
  EXPECT_NEAR(tables.beta_tilde[1], 5.45319e-5, 5e-11);
  EXPECT_NEAR(tables.beta_tilde[2], 8.54891e-5, 5e-11);
  EXPECT_NEAR(tables.beta_tilde[3], 1.10640e-4, 5e-10);
  EXPECT_NEAR(std::sqrt(tables.beta_tilde[1]), 0.0073846, 5e-8);
}

TEST(Process, PosteriorWeightsAndSignalToNoise) {
  const auto process = paper();
  const auto& tables = process.tables();
  expect_digits(tables.posterior_x_0, {1, .54529, .38871, .13628, .018895, .0030581, 1.2835e-4}, 3e-5);
  expect_digits(tables.posterior_x_t, {0, .45471, .61129, .86372, .98108, .99410, .98995}, 1e-5);
  std::vector<double> snr;
  for (size_t t = 0; t < 1000; ++t) {
    snr.push_back(tables.alpha_bar[t] / tables.one_minus_alpha_bar[t]);
  }
  expect_digits(snr, {9999, 4546, 2779, 455, 8.54, .0844, 4.04e-5}, 1e-3);
  EXPECT_NEAR(snr[0], 9999.0, 1e-8);
}

TEST(Process, LogVariancesTakeTheirFirstEntryFromBetaTilde1) {
  const auto process = paper();
  const auto small = process.log_variance(Variance::kFixedSmall);
  const auto large = process.log_variance(Variance::kFixedLarge);
  EXPECT_NEAR(small[0], -9.816725, 5e-7);
  EXPECT_EQ(small[0], small[1]);
  EXPECT_EQ(large[0], small[1]);
  EXPECT_NEAR(large[1], -9.0287, 5e-5);
  EXPECT_EQ(large[999], std::log(0.02));
  EXPECT_EQ(DiffusionProcess({0.5}).log_variance(Variance::kFixedSmall)[0], std::log(0.5));
}

TEST(Process, QSampleIsEquation4) {
  const auto x_0 = draws("x_0");
  const auto eps = draws("eps");
  const auto x_t = paper().q_sample(x_0, kSteps, eps);
  EXPECT_THAT(x_t[0], TensorNear(std::sqrt(1 - 1e-4) * x_0[0] + 0.01 * eps[0], 1e-15));
  EXPECT_THAT(x_t[6], TensorNear(0.00635282 * x_0[6] + 0.9999798 * eps[6], 1e-6));
}

TEST(Process, X0AndEpsDetermineEachOther) {
  const auto process = paper();
  const auto x_0 = draws("x_0");
  const auto eps = draws("eps");
  const auto x_t = process.q_sample(x_0, kSteps, eps);
  EXPECT_THAT(process.x_0_from_eps(x_t, kSteps, eps), TensorNear(x_0, 1e-12));
  EXPECT_THAT(process.eps_from_x_0(x_t, kSteps, x_0), TensorNear(eps, 1e-12));
}

TEST(Process, PosteriorMeanEqualsTheEpsForm) {
  // Eq. 11: (x_t - beta / sqrt(1 - alpha_bar) eps) / sqrt(alpha).
  const auto process = paper();
  const auto x_0 = draws("x_0");
  const auto eps = draws("eps");
  const auto x_t = process.q_sample(x_0, kSteps, eps);
  const auto mean = process.posterior_mean(x_0, x_t, kSteps);
  for (int64_t i = 0; i < kSteps.size(0); ++i) {
    const auto t = kSomeSteps[i];
    const double beta = process.tables().beta[t];
    const auto direct =
        (x_t[i] - beta / std::sqrt(process.tables().one_minus_alpha_bar[t]) * eps[i]) / std::sqrt(1 - beta);
    EXPECT_THAT(mean[i], TensorNear(direct, 1e-12)) << "t = " << t;
  }
}

TEST(Process, ConstantsTakeTheTensorsDtype) {
  const auto x = draws("x_0").to(torch::kFloat32);
  EXPECT_EQ(paper().q_sample(x, kSteps, x).scalar_type(), torch::kFloat32);
}

TEST(Process, SubChainKeepsAlphaBarAndRemembersT) {
  const auto whole = paper();
  const std::vector<int64_t> visited{0, 10, 11, 500, 999};
  const auto part = whole.sub_chain(visited);
  ASSERT_EQ(part.steps(), 5);
  for (size_t i = 0; i < visited.size(); ++i) {
    EXPECT_NEAR(part.tables().alpha_bar[i] / whole.tables().alpha_bar[static_cast<size_t>(visited[i])], 1,
                1e-12);
    EXPECT_EQ(part.original_t(static_cast<int64_t>(i)), visited[i]);
  }
  EXPECT_EQ(part.tables().beta[2], whole.tables().beta[11]);
  // A sub-chain of a sub-chain still knows the first process's t.
  const int64_t again[] = {1, 4};
  EXPECT_EQ(part.sub_chain(again).original_t(1), 999);
}

TEST(Process, SubChainOfEveryStepIsTheProcessItself) {
  const auto whole = paper();
  const auto same = whole.sub_chain(tensor::index_range(0, 1000));
  EXPECT_EQ(same.tables().beta, whole.tables().beta);
  EXPECT_EQ(same.tables().alpha_bar, whole.tables().alpha_bar);
}

TEST(Process, RefusesImpossibleInput) {
  const auto refusal = [](auto action) { return message_of<core::UsageError>(action); };
  EXPECT_THAT(refusal([] { DiffusionProcess({}); }), HasSubstr("at least one step"));
  EXPECT_THAT(refusal([] { DiffusionProcess({0.5, 1.5}); }), HasSubstr("1.5"));
  EXPECT_THAT(refusal([] { DiffusionProcess({0.5, std::nan("")}); }), HasSubstr("nan"));
  const int64_t descending[] = {5, 4};
  EXPECT_THAT(refusal([&] { paper().sub_chain(descending); }), HasSubstr("4 follows 5"));
  const int64_t beyond[] = {1000};
  EXPECT_THAT(refusal([&] { paper().sub_chain(beyond); }), HasSubstr("within 0..999"));
  EXPECT_THROW(paper().q_sample(draws("x_0", 1), torch::tensor({1000}, torch::kInt64), draws("eps", 1)),
               core::LogicError);
}

TEST(Process, JsdIsRefusedForEpsPrediction) {
  const DiffusionProcess jsd(make_betas({.kind = "jsd"}));
  const auto x = draws("x_0", 1);
  const auto message =
      message_of<core::UsageError>([&] { jsd.x_0_from_eps(x, torch::zeros({1}, torch::kInt64), x); });
  EXPECT_THAT(message, HasSubstr("alpha_bar_T is 0"));
  EXPECT_NO_THROW(paper().require_eps_prediction());
}

TEST(Process, PriorMismatchWarnsOfAChainThatEndsTooEarly) {
  EXPECT_EQ(prior_mismatch(paper(), 0.5), "");
  // Linear 1e-4 .. 0.02 unscaled at T = 100: alpha_bar_T 0.364.
  const DiffusionProcess brief(make_betas({.steps = 100}));
  EXPECT_THAT(
      prior_mismatch(brief, 1),
      HasSubstr("alpha_bar_T = 0.364, so x_T keeps sqrt(alpha_bar_T) * std(x_0) = 0.603 * 1 = 0.603 of"));
  EXPECT_THAT(prior_mismatch(brief, 1), HasSubstr("process.rescale = true"));
  EXPECT_EQ(prior_mismatch(DiffusionProcess(make_betas({.steps = 100, .rescale = true})), 1), "");
}

}  // namespace
}  // namespace ddpm_eval::ddpm
