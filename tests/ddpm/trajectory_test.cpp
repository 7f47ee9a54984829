#include "ddpm/trajectory.h"

#include "base/core/error.h"
#include "base/tensor/noise.h"
#include "ddpm/schedule.h"
#include "tests/ddpm/formula_network.h"
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

const std::vector<int64_t> kRow{3};

DiffusionProcess twenty_steps() {
  return DiffusionProcess(make_betas({.steps = 20, .beta_end = 0.015, .rescale = true}));
}

/// Some eps that is no constant.
FormulaNetwork wavy_network() {
  return FormulaNetwork([](const at::Tensor& x, const at::Tensor& t) {
    return (x * 0.7 + 0.01 * t.view({-1, 1})).sin();
  });
}

/// The eps of data that are all `x_0`.
FormulaNetwork network_of_one_datum(const DiffusionProcess& process, const at::Tensor& x_0) {
  return FormulaNetwork([process, x_0](const at::Tensor& x, const at::Tensor& t) {
    return process.eps_from_x_0(x, t, x_0.expand_as(x));
  });
}

SampleOptions options_of(Sampler sampler, int64_t steps, double eta = 0) {
  SampleOptions options;
  options.sampler = sampler;
  options.steps = steps;
  options.eta = eta;
  options.micro_batch = 4;
  options.seed = 3;
  return options;
}

TEST(Trajectory, EndsInTheSampleAndBeginsInItsNoise) {
  const auto process = twenty_steps();
  const auto network = wavy_network();
  const SamplingModel model{network, process, {}};
  const std::vector<int64_t> indices{5, 0, 2, 9};
  for (const auto& options : {options_of(Sampler::kAncestral, 0), options_of(Sampler::kDdim, 7, 1.0),
                              options_of(Sampler::kDpmSolver, 5)}) {
    const int64_t steps = visited_chain(process, options).steps();
    const std::vector<int64_t> moments{0, 1, steps - 1, steps};
    const auto path = trajectory(model, options, indices, kRow, Shown::kState, moments);
    EXPECT_EQ(path.sizes(), (at::IntArrayRef{4, 4, 3}));
    EXPECT_THAT(path[3], TensorEq(sample(network, process, {}, options, indices, kRow)));
    EXPECT_THAT(path[0], TensorEq(tensor::normal_rows({3, "sample.x_T"}, indices, 0, kRow)));
    // The last estimate is the sample, every sampler: its step adds no noise.
    const auto estimates =
        trajectory(model, options, indices, kRow, Shown::kEstimate, std::vector<int64_t>{0, steps - 1});
    EXPECT_THAT(estimates[1], TensorEq(path[3]));
  }
}

TEST(Trajectory, EstimatesAreWhatTheNetworkSays) {
  const auto process = twenty_steps();
  const auto x_0 = torch::tensor({0.5, -0.25, 0.0});
  const auto network = network_of_one_datum(process, x_0);
  const std::vector<int64_t> indices{0, 1, 2};
  const auto estimates = trajectory({network, process, {}}, options_of(Sampler::kAncestral, 0), indices, kRow,
                                    Shown::kEstimate, std::vector<int64_t>{0, 10, 19});
  EXPECT_THAT(estimates, TensorNear(x_0.expand({3, 3, 3}), 1e-4));
}

TEST(Trajectory, LevelsCountTheNoiseOnTheData) {
  const auto part = twenty_steps().sub_chain(std::vector<int64_t>{0, 9, 19});
  EXPECT_EQ(level_at(part, 0), 20);
  EXPECT_EQ(level_at(part, 1), 10);
  EXPECT_EQ(level_at(part, 2), 1);
  EXPECT_EQ(level_at(part, 3), 0);
}

TEST(ForwardPath, EachMomentIsADrawOfQ) {
  const auto process = twenty_steps();
  constexpr int64_t kCount = 20'000;
  const auto x_0 = torch::full({kCount, 2}, 1.5);
  const auto path = forward_path(process, x_0, std::vector<int64_t>{0, 1, 8, 20}, 7);
  EXPECT_EQ(path.sizes(), (at::IntArrayRef{4, kCount, 2}));
  EXPECT_THAT(path[0], TensorEq(x_0));
  const auto z = tensor::normal_rows({7, "forward.noise"}, tensor::index_range(0, kCount), 0, {2});
  const double beta = process.tables().beta[0];
  EXPECT_THAT(path[1], TensorNear(x_0 * std::sqrt(1 - beta) + z * std::sqrt(beta), 1e-6));
  for (const auto& [at, level] : {std::pair{2, 8}, std::pair{3, 20}}) {
    const double alpha_bar = process.tables().alpha_bar[static_cast<size_t>(level - 1)];
    const double deviation = std::sqrt((1 - alpha_bar) / (2 * kCount));
    EXPECT_NEAR(path[at].mean().item<double>(), std::sqrt(alpha_bar) * 1.5, 4 * deviation);
    EXPECT_NEAR(path[at].var().item<double>(), 1 - alpha_bar, 4 * (1 - alpha_bar) / std::sqrt(kCount));
  }
}

TEST(ForwardPath, DoesNotDependOnWhatIsKept) {
  const auto process = twenty_steps();
  const auto x_0 = torch::linspace(-1, 1, 12).view({4, 3});
  const auto every = forward_path(process, x_0, tensor::index_range(0, 21), 1);
  EXPECT_THAT(forward_path(process, x_0.narrow(0, 0, 2), std::vector<int64_t>{3, 17}, 1),
              TensorEq(torch::stack({every[3].narrow(0, 0, 2), every[17].narrow(0, 0, 2)})));
  EXPECT_FALSE(torch::equal(every[20], forward_path(process, x_0, std::vector<int64_t>{20}, 2)[0]));
}

TEST(Interpolation, MixesWhatWasNoised) {
  const auto process = twenty_steps();
  const auto network = wavy_network();
  const SamplingModel model{network, process, {}};
  const auto ends = torch::tensor({{0.1F, 0.2F, 0.3F}, {-0.3F, 0.6F, 0.9F}});
  const std::vector<double> lambdas{0, 0.25, 1};
  const auto data = interpolate(model, options_of(Sampler::kDdim, 0), ends, 0, lambdas);
  EXPECT_THAT(
      data, TensorNear(torch::tensor({{0.1F, 0.2F, 0.3F}, {0.0F, 0.3F, 0.45F}, {-0.3F, 0.6F, 0.9F}}), 1e-6));
  // By hand, one DDIM step from level 1: x_0 is the network's estimate there.
  const auto eps = tensor::normal_rows({3, "interpolate.encoding"}, std::vector<int64_t>{0}, 0, kRow);
  const auto t = torch::zeros({3}, torch::kInt64);
  const auto noised = process.q_sample(data, t, eps.expand({3, 3}));
  const auto want = process.x_0_from_eps(noised, t, network.forward(noised, t)).clamp(-1, 1);
  EXPECT_THAT(interpolate(model, options_of(Sampler::kDdim, 0), ends, 1, lambdas), TensorNear(want, 1e-5));
}

TEST(Interpolation, EqualEndsGiveEqualImagesAtEveryLambda) {
  const auto process = twenty_steps();
  const auto network = wavy_network();
  const auto ends = torch::tensor({0.1F, 0.2F, 0.3F}).expand({2, 3});
  const std::vector<double> lambdas{0, 0.3, 0.5, 0.7, 1};  // over two micro-batches of four
  for (const auto& options : {options_of(Sampler::kAncestral, 0), options_of(Sampler::kDdim, 6, 1.0)}) {
    const auto decoded = interpolate({network, process, {}}, options, ends, 13, lambdas);
    EXPECT_THAT(decoded, TensorNear(decoded[0].expand({5, 3}), 1e-5)) << "noise of decoding is shared";
  }
}

TEST(Interpolation, AGoodNetworkGivesTheDatumBackFromEveryLevel) {
  const auto process = twenty_steps();
  const auto x_0 = torch::tensor({0.5F, -0.25F, 0.0F});
  const auto network = network_of_one_datum(process, x_0);
  for (const int64_t level : {1, 10, 20}) {
    const auto decoded = interpolate({network, process, {}}, options_of(Sampler::kAncestral, 0),
                                     x_0.expand({2, 3}), level, std::vector<double>{0, 0.5});
    EXPECT_THAT(decoded, TensorNear(x_0.expand({2, 3}), 1e-4));
  }
}

TEST(Interpolation, GoesThroughTheNetworkInWholeMicroBatches) {
  const auto process = twenty_steps();
  std::vector<int64_t> seen;
  // A network whose answer depends on how many rows it is given, as the last bits of a real one do.
  const FormulaNetwork network([&seen](const at::Tensor& x, const at::Tensor& t) {
    seen.push_back(x.size(0));
    return (x * 0.7 + 0.01 * t.view({-1, 1})).sin() * static_cast<double>(x.size(0));
  });
  const auto ends = torch::tensor({{0.1F, 0.2F, 0.3F}, {-0.3F, 0.6F, 0.9F}});
  const auto decode = [&](const std::vector<double>& lambdas) {
    return interpolate({network, process, {}}, options_of(Sampler::kDdim, 5), ends, 12, lambdas);
  };
  const auto six = decode({0, 0.2, 0.4, 0.6, 0.8, 1});
  EXPECT_EQ(six.sizes(), at::IntArrayRef({6, 3}));
  EXPECT_THAT(decode({0}), TensorEq(six.narrow(0, 0, 1)));
  EXPECT_THAT(seen, ::testing::Each(4));
}

TEST(Interpolation, LevelsOutsideTheChainAreRefused) {
  const auto process = twenty_steps();
  const auto network = wavy_network();
  EXPECT_THAT(message_of<core::UsageError>([&] {
                interpolate({network, process, {}}, options_of(Sampler::kAncestral, 0), torch::zeros({2, 3}),
                            21, std::vector<double>{0.5});
              }),
              HasSubstr("t = 21 is not within 0..20"));
}

}  // namespace
}  // namespace ddpm_eval::ddpm
