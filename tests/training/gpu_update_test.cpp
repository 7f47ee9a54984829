#include "base/training/adam.h"
#include "base/training/ema.h"
#include "base/training/gradient.h"
#include "tests/support/gpu.h"
#include "tests/support/tensor_matchers.h"
#include "tests/training/draws.h"

#include <cmath>

#include <gmock/gmock.h>

namespace ddpm_eval::training {
namespace {

using testing::normal;
using testing::TensorEq;
using testing::TensorNear;

/// Layouts and lengths that take the kernels through whole vectors, rests, several pieces and memory that is
/// not aligned; and what is left to operators.
tensor::NamedTensors parameters(at::Device device) {
  tensor::NamedTensors all{
      {"plain", normal({37, 5}, 0)},
      {"channels_last", normal({8, 3, 3, 3}, 1).contiguous(at::MemoryFormat::ChannelsLast)},
      {"large", normal({100003}, 2)},
      {"one", normal({1}, 3)},
      {"float64", normal({11}, 4).to(torch::kFloat64)},
  };
  for (auto& [name, parameter] : all) {
    parameter = parameter.to(device).requires_grad_(true);
  }
  const at::Tensor shifted = normal({40}, 5).to(device).narrow(0, 1, 38);
  all.push_back({"shifted", shifted.detach().requires_grad_(true)});
  return all;
}

void set_grads(const tensor::NamedTensors& all, int64_t step) {
  for (size_t i = 0; i < all.size(); ++i) {
    const at::Tensor& p = all[i].tensor;
    at::Tensor grad = torch::empty_like(p);
    grad.copy_(normal(p.sizes(), static_cast<int64_t>(i), step + 1) * 0.3);
    at::Tensor(p).mutable_grad() = grad;
  }
}

TEST(GpuUpdate, AdamAndAveragesFollowTheCpu) {
  SKIP_WITHOUT_GPU(gpu);
  const at::NoGradGuard no_grad;
  const auto there = parameters(tensor::compute_device()), here = parameters(at::kCPU);
  const AdamOptions options{.weight_decay = 0.01};
  Adam adam_there(there, options), adam_here(here, options);
  Ema ema_there(there, {}, {.decay = 0.9, .ramp = true}), ema_here(here, {}, {.decay = 0.9, .ramp = true});
  for (int64_t step = 0; step < 20; ++step) {
    set_grads(there, step);
    set_grads(here, step);
    adam_there.update(there, step, 3e-3, 0.7);
    adam_here.update(here, step, 3e-3, 0.7);
    ema_there.update(there, {}, step);
    ema_here.update(here, {}, step);
  }
  for (size_t i = 0; i < here.size(); ++i) {
    const auto near = [](const at::Tensor& want) {
      return TensorNear(want, 1e-5 * std::max(1.0, want.abs().max().item<double>()));
    };
    EXPECT_THAT(there[i].tensor.cpu(), near(here[i].tensor)) << here[i].name;
    EXPECT_THAT(ema_there.parameters()[i].tensor.cpu(), near(ema_here.parameters()[i].tensor))
        << here[i].name;
  }
  const auto state_there = adam_there.state(), state_here = adam_here.state();
  for (size_t i = 0; i < state_here.size(); ++i) {
    EXPECT_THAT(state_there[i].tensor.cpu(), TensorNear(state_here[i].tensor, 1e-6)) << state_here[i].name;
  }
}

/// A weight of 1 gives the value itself.
TEST(GpuUpdate, AnAverageWithoutMemoryIsTheValue) {
  SKIP_WITHOUT_GPU(gpu);
  const at::NoGradGuard no_grad;
  const auto there = parameters(tensor::compute_device());
  Ema ema(there, {}, {.decay = 0});
  for (const auto& [name, parameter] : there) {
    at::Tensor(parameter).mul_(-1.7);
  }
  ema.update(there, {}, 0);
  for (size_t i = 0; i < there.size(); ++i) {
    EXPECT_THAT(ema.parameters()[i].tensor, TensorEq(there[i].tensor)) << there[i].name;
  }
}

TEST(GpuUpdate, TheNormIsTakenInFloat64) {
  SKIP_WITHOUT_GPU(gpu);
  const auto there = parameters(tensor::compute_device()), here = parameters(at::kCPU);
  set_grads(there, 0);
  set_grads(here, 0);
  EXPECT_NEAR(gradient_norm(there), gradient_norm(here), 1e-12 * gradient_norm(here));
  EXPECT_EQ(gradient_norm(there), gradient_norm(there));
  // Squares beyond float32.
  const tensor::NamedTensors huge{{"huge", torch::zeros({100}, tensor::compute_device())}};
  at::Tensor(huge[0].tensor).mutable_grad() = torch::full({100}, 3e25, tensor::compute_device());
  EXPECT_NEAR(gradient_norm(huge), 3e26, 1e-6 * 3e26);
  at::Tensor(huge[0].tensor).mutable_grad()[7] = NAN;
  EXPECT_TRUE(std::isnan(gradient_norm(huge)));
}

}  // namespace
}  // namespace ddpm_eval::training
