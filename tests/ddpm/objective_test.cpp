#include "ddpm/objective.h"

#include "base/core/error.h"
#include "base/tensor/noise.h"
#include "base/training/loop.h"
#include "ddpm/mlp.h"
#include "ddpm/sampler.h"
#include "ddpm/schedule.h"
#include "ddpm/unet.h"
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
  const auto [x_0, t, eps] = task.batch(7);
  EXPECT_THAT(loss, TensorNear((eps - 0.5).pow(2).mean(), 1e-6));
  loss.backward();
  // d/dv mean (v - eps)^2 = 2 (v - mean eps).
  EXPECT_THAT(network.parameters()[0].tensor.grad()[0], TensorNear(2 * (0.5 - eps.mean()), 1e-6));
}

TEST(Objective, QuartersOfTheChainAreLoggedAndAverageToTheLoss) {
  const ConstantNetwork network(0);
  DdpmTask task(network, process_of(100), torch::zeros({10, 3}), {.batch_size = 64, .flip = false});
  training::StepLog log;
  const auto loss = task.loss(0, log);
  const auto [x_0, t, eps] = task.batch(0);
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
  const Mlp network({.width = 64}, 2, ParameterMaker(0));
  const auto process = process_of(50);
  DdpmTask task(network, process, eight_gaussians(20000, 1), {.batch_size = 256, .flip = false});
  const training::LoopConfig loop{.steps = 2000,
                                  .learning_rate = 3e-3,
                                  .warmup_steps = 100,
                                  .lr_schedule = "cosine",
                                  .ema_decay = 0.99,
                                  .checkpoint_every = 0};
  auto state = training::new_state(task, loop);
  const SampleOptions options{.variance = Variance::kFixedSmall, .clip = false, .micro_batch = 1000};
  const auto distance = [&] {
    const auto x = sample(network, process, options, tensor::index_range(0, 2000), {2});
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
