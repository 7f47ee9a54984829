#include "ddpm/objective.h"

#include "base/core/error.h"
#include "base/tensor/noise.h"
#include "base/training/loop.h"
#include "ddpm/mlp.h"
#include "ddpm/sampler.h"
#include "ddpm/schedule.h"
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

DiffusionProcess process_of(int64_t steps) {
  return DiffusionProcess(make_betas({.steps = steps, .rescale = true}));
}

/// Gives a constant, which is also its one parameter.
class ConstantNetwork final : public DiffusionNetwork {
 public:
  explicit ConstantNetwork(double value)
      : parameters_{{"value", torch::full({1}, value, torch::kFloat32).requires_grad_(true)}} {}
  const tensor::NamedTensors& parameters() const override { return parameters_; }

 protected:
  at::Tensor run(const at::Tensor& x_t, const at::Tensor& /*t*/,
                 const std::optional<TrainingPass>& /*pass*/) const override {
    return parameters_[0].tensor.expand_as(x_t);
  }

 private:
  tensor::NamedTensors parameters_;
};

at::Tensor stripes(int64_t n) {
  // Image i is i everywhere, but 200 in its left column.
  auto images = torch::arange(n, torch::kUInt8).view({n, 1, 1, 1}).repeat({1, 1, 2, 4});
  images.slice(3, 0, 1).fill_(200);
  return images;
}

TEST(Objective, LossIsTheMeanSquaredErrorOfEps) {
  const ConstantNetwork network(0.5);
  DdpmTask task(network, process_of(100), torch::zeros({10, 3}), {.batch_size = 4, .flip = false, .seed = 2});
  training::StepLog log;
  const auto loss = task.loss(7, log);
  const auto [x_0, t, eps, weight] = task.batch(7);
  EXPECT_THAT(loss, TensorNear((eps - 0.5).pow(2).mean(), 1e-6));
  loss.backward();
  // d/dv mean (v - eps)^2 = 2 (v - mean eps).
  EXPECT_THAT(network.parameters()[0].tensor.grad()[0], TensorNear(2 * (0.5 - eps.mean()), 1e-6));
}

TEST(Objective, SquaredErrorsAndTheirGradientsEqualLibTorchsInFloat64) {
  const auto process = process_of(100);
  const auto draw = [](const char* name) {
    return tensor::normal_rows({1, name}, tensor::index_range(0, 5), 0, {3, 4, 4});
  };
  const auto eps = draw("eps"), t = torch::arange(5), direction = torch::arange(5) - 1.5;
  // In either layout, as the U-Net gives it.
  for (const auto& output : {draw("output"), draw("output").contiguous(torch::MemoryFormat::ChannelsLast)}) {
    const auto leaf = output.clone().requires_grad_(true);
    const auto losses = example_losses({}, process, Decoder::kDiscretised, eps, eps, t, eps, leaf);
    losses.backward(direction.to(torch::kFloat32));
    const auto wide = output.to(torch::kFloat64).requires_grad_(true);
    const auto exact = (wide - eps).pow(2).flatten(1).mean(1);
    exact.backward(direction.to(torch::kFloat64));
    EXPECT_THAT(losses.detach(), TensorNear(exact.detach(), 1e-6));
    EXPECT_THAT(leaf.grad(), TensorNear(wide.grad(), 1e-7));
  }
}

TEST(Objective, QuartersOfTheChainAreLoggedAndAverageToTheLoss) {
  const ConstantNetwork network(0);
  DdpmTask task(network, process_of(100), torch::zeros({10, 3}), {.batch_size = 64, .flip = false});
  training::StepLog log;
  const auto loss = task.loss(0, log);
  const auto [x_0, t, eps, weight] = task.batch(0);
  double sum = 0;
  for (int64_t quarter = 0; quarter < 4; ++quarter) {
    const auto inside = t.div(25, "floor").eq(quarter);
    const auto name = "loss_q" + std::to_string(quarter);
    ASSERT_EQ(log.count(name), 1U);
    EXPECT_NEAR(log[name], eps.index_select(0, inside.nonzero().flatten()).pow(2).mean().item<double>(),
                1e-6);
    sum += log[name] * inside.sum().item<double>();
  }
  EXPECT_NEAR(sum / 64, loss.item<double>(), 1e-6);
}

TEST(Objective, AQuarterWithoutExamplesIsNotLogged) {
  const ConstantNetwork network(0);
  DdpmTask task(network, process_of(100), torch::zeros({10, 3}), {.batch_size = 1, .flip = false});
  training::StepLog log;
  task.loss(0, log);
  EXPECT_EQ(log.size(), 1U);
}

TEST(Objective, ABatchDependsOnSeedAndStepAlone) {
  const ConstantNetwork network(0);
  const auto data = stripes(20);
  DdpmTask one(network, process_of(100), data, {.batch_size = 8, .seed = 3});
  DdpmTask two(network, process_of(100), data, {.batch_size = 8, .seed = 3});
  one.batch(0);
  const auto a = one.batch(9);
  const auto b = two.batch(9);
  EXPECT_THAT(a.x_0, TensorEq(b.x_0));
  EXPECT_THAT(a.t, TensorEq(b.t));
  EXPECT_THAT(a.eps, TensorEq(b.eps));
  DdpmTask other(network, process_of(100), data, {.batch_size = 8, .seed = 4});
  EXPECT_FALSE(torch::equal(other.batch(9).eps, a.eps));
  EXPECT_FALSE(torch::equal(other.batch(9).t, a.t));
}

TEST(Objective, ImagesAreScaledAndMirrored) {
  const ConstantNetwork network(0);
  DdpmTask task(network, process_of(100), stripes(20), {.batch_size = 20});
  const auto batch = task.batch(0);
  const auto x_0 = batch.x_0;
  EXPECT_EQ(batch.eps.sizes(), x_0.sizes());
  const auto left = to_u8(x_0.select(3, 0).select(2, 0).flatten());
  const auto right = to_u8(x_0.select(3, 3).select(2, 0).flatten());
  const int64_t mirrored = right.eq(200).sum().item<int64_t>();
  EXPECT_GT(mirrored, 3);
  EXPECT_LT(mirrored, 17);
  EXPECT_EQ(left.eq(200).sum().item<int64_t>(), 20 - mirrored);
  // One epoch: every image once.
  const auto values = torch::minimum(left, right).to(torch::kInt64);
  EXPECT_THAT(std::get<0>(values.sort()), TensorEq(torch::arange(20)));
  EXPECT_THAT(x_0.select(3, 1).select(2, 0).flatten(),
              TensorNear(values.to(torch::kFloat32) / 127.5 - 1, 1e-6));
}

TEST(Objective, PartsComeInOrder) {
  const ConstantNetwork network(0);
  DdpmTask task(network, process_of(100), stripes(20), {.batch_size = 20});
  training::StepLog log;
  for (const auto& rows : {training::Rows{0, 0}, {5, 4}, {-1, 3}, {10, 21}}) {
    EXPECT_THROW(task.part_of_loss(0, rows), core::LogicError);
  }
  task.part_of_loss(0, {0, 10});
  EXPECT_THROW(task.end_of_parts(0, {0, 20}, log), core::LogicError) << "half of it is missing";
  EXPECT_THROW(task.end_of_parts(1, {0, 10}, log), core::LogicError) << "of another step";
  EXPECT_THROW(task.end_of_parts(0, {0, 10}, log), core::LogicError) << "nobody has the other half";
  task.part_of_loss(0, {10, 20});
  task.end_of_parts(0, {0, 20}, log);
  EXPECT_TRUE(log.contains("loss_q0"));
}

/// The mean loss of a network that answers 0, over many examples of mean square 0.25.
double measured_loss_of_zero(const ObjectiveConfig& objective, const DiffusionProcess& process) {
  constexpr int64_t kRows = 200'000;
  const auto rows = tensor::index_range(0, kRows);
  const auto t = torch::arange(kRows) % process.steps();
  const auto x_0 = tensor::normal_rows({1, "x_0"}, rows, 0, {1}) * 0.5;
  const auto eps = tensor::normal_rows({1, "eps"}, rows, 0, {1});
  return example_losses(objective, process, Decoder::kContinuous, x_0, process.q_sample(x_0, t, eps), t, eps,
                        torch::zeros_like(x_0))
      .mean()
      .item<double>();
}

TEST(Objective, TheLossOfAnsweringZeroIsWhatSuchANetworkGets) {
  const auto process = process_of(50);
  for (const auto prediction : {Prediction::kEps, Prediction::kX0, Prediction::kV, Prediction::kMuTilde}) {
    for (const auto weighting : {Weighting::kNone, Weighting::kMinSnr}) {
      if (prediction == Prediction::kMuTilde && weighting == Weighting::kMinSnr) {
        continue;
      }
      ObjectiveConfig objective;
      objective.parameterisation.prediction = prediction;
      objective.weighting = weighting;
      const double measured = measured_loss_of_zero(objective, process);
      EXPECT_NEAR(loss_of_zero(objective, process, 0.25).value(), measured, 0.02 * measured);
    }
  }
  EXPECT_DOUBLE_EQ(loss_of_zero({}, process, 0.25).value(), 1);
  ObjectiveConfig bound;
  bound.loss = Loss::kBound;
  EXPECT_FALSE(loss_of_zero(bound, process, 0.25));
}

/// example_losses of the golden rows, mean.
double golden_loss(const GoldenRows& rows, const ObjectiveConfig& objective) {
  const auto output = rows.output(objective.parameterisation);
  return example_losses(objective, rows.process, Decoder::kDiscretised, rows.x_0, rows.x_t, rows.t, rows.eps,
                        output)
      .mean()
      .item<double>();
}

TEST(Objective, LossesAreTheGoldenOnes) {
  const Parameterisation eps, x_0{.prediction = Prediction::kX0}, mu{.prediction = Prediction::kMuTilde},
      v{.prediction = Prediction::kV};
  const Parameterisation mu_learned{Prediction::kMuTilde, ModelVariance::kLearned};
  const Parameterisation eps_range{Prediction::kEps, ModelVariance::kLearnedRange};
  const Parameterisation mu_range{Prediction::kMuTilde, ModelVariance::kLearnedRange};
  const auto weighted = Weighting::kMinSnr;
  for (const auto& rows : golden_rows()) {
    const auto& want = rows.terms;
    const auto expect = [&](const ObjectiveConfig& objective, double value) {
      EXPECT_NEAR(golden_loss(rows, objective), value, 1e-8 * std::abs(value)) << want.schedule;
    };
    expect({.parameterisation = eps}, want.loss_simple_eps);
    expect({.parameterisation = x_0}, want.loss_simple_x0);
    expect({.parameterisation = mu}, want.loss_simple_mu);
    expect({.parameterisation = v}, want.loss_simple_v);
    expect({.parameterisation = eps, .weighting = weighted}, want.loss_min_snr_eps);
    expect({.parameterisation = x_0, .weighting = weighted}, want.loss_min_snr_x0);
    expect({.parameterisation = v, .weighting = weighted}, want.loss_min_snr_v);
    expect({.parameterisation = eps, .loss = Loss::kBound}, want.loss_vlb_eps_large);
    expect({.parameterisation = mu_learned, .loss = Loss::kBound}, want.loss_vlb_mu_learned);
    expect({.parameterisation = eps_range, .loss = Loss::kBound}, want.loss_vlb_eps_range);
    expect({.parameterisation = eps, .loss = Loss::kBoundSum}, want.loss_vlb_times_T_eps_large);
    expect({.parameterisation = eps_range, .loss = Loss::kHybrid}, want.loss_hybrid_eps_range);
    expect({.parameterisation = mu_range, .loss = Loss::kHybrid}, want.loss_hybrid_mu_range);
  }
}

TEST(Objective, TheHybridsBoundMovesTheVarianceAlone) {
  const GoldenRows rows(golden::kLinear);
  const ObjectiveConfig hybrid{.parameterisation = {Prediction::kEps, ModelVariance::kLearnedRange},
                               .loss = Loss::kHybrid};
  const auto gradient = [&](const ObjectiveConfig& objective) {
    auto output = rows.output(hybrid.parameterisation).clone().requires_grad_(true);
    example_losses(objective, rows.process, Decoder::kDiscretised, rows.x_0, rows.x_t, rows.t, rows.eps,
                   output)
        .sum()
        .backward();
    return output.grad();
  };
  ObjectiveConfig simple = hybrid, bound = hybrid;
  simple.loss = Loss::kSimple;
  bound.loss = Loss::kBoundSum;
  EXPECT_THAT(gradient(hybrid).narrow(1, 0, 2), TensorNear(gradient(simple).narrow(1, 0, 2), 1e-14));
  EXPECT_THAT(gradient(hybrid).narrow(1, 2, 2), TensorNear(0.001 * gradient(bound).narrow(1, 2, 2), 1e-14));
  EXPECT_GT(gradient(hybrid).narrow(1, 2, 2).abs().min().item<double>(), 0);
}

TEST(Objective, ContradictionsAreRefused) {
  const DiffusionProcess process = process_of(100);
  const auto refusal = [&](const ObjectiveConfig& objective) {
    return message_of<core::UsageError>([&] { objective.validate(process); });
  };
  const Parameterisation learned{.variance = ModelVariance::kLearned};
  EXPECT_THAT(refusal({.parameterisation = learned}),
              HasSubstr("objective.variance: 'learned' is not trained by objective.loss = 'simple'"));
  EXPECT_THAT(refusal({.loss = Loss::kHybrid}),
              HasSubstr("objective.loss: 'hybrid' trains a variance besides"));
  EXPECT_THAT(refusal({.loss = Loss::kBound, .weighting = Weighting::kMinSnr}),
              HasSubstr("objective.weighting"));
  EXPECT_THAT(
      refusal({.parameterisation = {.prediction = Prediction::kMuTilde}, .weighting = Weighting::kMinSnr}),
      HasSubstr("objective.weighting"));
  EXPECT_THAT(refusal({.t_sampling = TSampling::kImportance}), HasSubstr("objective.t_sampling"));
  EXPECT_THAT(refusal({.hybrid_weight = 0}), HasSubstr("objective.hybrid_weight: 0"));
  EXPECT_THAT(refusal({.snr_gamma = -1}), HasSubstr("objective.snr_gamma: -1"));
  EXPECT_NO_THROW((ObjectiveConfig{.parameterisation = learned, .loss = Loss::kBound}.validate(process)));
}

TEST(Objective, ImportanceKeepsItsHistoryInTheBuffers) {
  const ConstantNetwork network(0.5);
  const ObjectiveOptions options{.batch_size = 40,
                                 .flip = false,
                                 .objective = {.loss = Loss::kBound, .t_sampling = TSampling::kImportance}};
  DdpmTask task(network, process_of(25), torch::zeros({10, 3}), options);
  training::StepLog log;
  for (int64_t step = 0; step < 24; ++step) {
    task.loss(step, log);
  }
  const auto buffers = task.buffers();
  ASSERT_EQ(buffers.size(), 2U);
  EXPECT_EQ(buffers[1].tensor.min().item<int64_t>(), 10) << "every t had ten of 2,400";
  DdpmTask restored(network, process_of(25), torch::zeros({10, 3}), options);
  tensor::copy_exactly(buffers, restored.buffers(), "the checkpoint");
  EXPECT_THAT(restored.batch(24).t, TensorEq(task.batch(24).t));
  EXPECT_THAT(restored.batch(24).weight, TensorEq(task.batch(24).weight));
  EXPECT_GT(task.batch(24).weight.std().item<double>(), 0);
}

TEST(Objective, TIsUniform) {
  const ConstantNetwork network(0);
  DdpmTask task(network, process_of(50), torch::zeros({4, 1}), {.batch_size = 50000, .flip = false});
  const auto counts = torch::bincount(task.batch(0).t, {}, 50);
  EXPECT_EQ(counts.size(0), 50);
  EXPECT_LT((counts - 1000).abs().max().item<int64_t>(), 5 * 32);
}

TEST(Objective, RefusesWhatCannotBeTrained) {
  const ConstantNetwork network(0);
  const auto make = [&](const at::Tensor& data, const ObjectiveOptions& options) {
    DdpmTask(network, process_of(100), data, options);
  };
  EXPECT_THAT(message_of<core::UsageError>([&] { make(torch::zeros({4, 2}), {}); }), HasSubstr("train.flip"));
  EXPECT_THAT(message_of<core::UsageError>([&] { make(stripes(4), {.batch_size = 0}); }),
              HasSubstr("train.batch_size: 0"));
  EXPECT_THAT(message_of<core::DataError>([&] { make(stripes(0), {}); }), HasSubstr("empty"));
  EXPECT_THROW(make(torch::zeros({4}), {}), core::LogicError);
  EXPECT_THAT(message_of<core::UsageError>(
                  [&] { DdpmTask(network, DiffusionProcess(make_betas({.kind = "jsd"})), stripes(4), {}); }),
              HasSubstr("alpha_bar_T is 0"));
}

/// Eight Gaussians of standard deviation 0.1 on the circle of radius 1.
at::Tensor eight_gaussians(int64_t n, uint64_t seed) {
  const auto rows = tensor::index_range(0, n);
  const auto angle = tensor::integers({seed, "mode"}, rows, 0, 8) * (2 * std::numbers::pi / 8);
  return torch::stack({angle.cos(), angle.sin()}, 1).to(torch::kFloat32) +
         0.1 * tensor::normal_rows({seed, "spread"}, rows, 0, {2});
}

/// Mean over directions of the 1-Wasserstein distance of projections.
double sliced_distance(const at::Tensor& a, const at::Tensor& b) {
  const auto angle = torch::arange(60) * (std::numbers::pi / 60);
  const auto directions = torch::stack({angle.cos(), angle.sin()}, 0).to(torch::kFloat32);
  const auto sorted = [&](const at::Tensor& x) { return std::get<0>(x.matmul(directions).sort(0)); };
  return (sorted(a) - sorted(b)).abs().mean().item<double>();
}

TEST(SlowObjective, TrainingLearnsEightGaussians) {
  const Mlp network({.width = 64}, 2, 2, ParameterMaker(0));
  const auto process = process_of(50);
  DdpmTask task(network, process, eight_gaussians(20000, 1), {.batch_size = 256, .flip = false});
  const training::LoopConfig loop{.steps = 2000,
                                  .learning_rate = 3e-3,
                                  .warmup_steps = 100,
                                  .lr_schedule = "cosine",
                                  .ema_decay = 0.99,
                                  .checkpoint_every = 0};
  auto state = training::new_state(task, loop);
  const SampleOptions options{.variance = SampleVariance::kFixedSmall, .clip = false, .micro_batch = 1000};
  const auto distance = [&] {
    const auto x = sample(network, process, {}, options, tensor::index_range(0, 2000), {2});
    return sliced_distance(x, eight_gaussians(2000, 2));
  };
  const double before = distance();
  training::run_loop(task, loop, {}, state);
  tensor::copy_exactly(state.ema.parameters(), network.parameters(), "the average");
  const double after = distance();
  const double floor = sliced_distance(eight_gaussians(2000, 3), eight_gaussians(2000, 4));
  EXPECT_GT(before, 0.3);
  EXPECT_LT(after, 4 * floor) << "floor " << floor;
}

}  // namespace
}  // namespace ddpm_eval::ddpm
