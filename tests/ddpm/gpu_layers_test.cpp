#include "ddpm/gpu_layers.h"

#include "base/core/seeds.h"
#include "base/tensor/noise.h"
#include "ddpm/dropout.h"
#include "ddpm/layers.h"
#include "tests/support/gpu.h"
#include "tests/support/tensor_matchers.h"

#include <gmock/gmock.h>

namespace ddpm_eval::ddpm {
namespace {

using testing::TensorEq;
using testing::TensorNear;

at::Tensor draws(const char* purpose, at::IntArrayRef shape) {
  return tensor::normal_rows({5, purpose}, tensor::index_range(0, shape[0]), 0, shape.slice(1));
}

struct NormResult {
  at::Tensor y, dx, dweight, dbias, dshift;
};

/// The value and the gradients of sum(y direction), in float64 on the CPU.
template <class Norm>
NormResult run(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& shift,
               const at::Tensor& direction, const Norm& norm) {
  std::vector<at::Tensor> leaves{x, weight, bias, shift};
  for (auto& leaf : leaves) {
    leaf = leaf.detach().clone().requires_grad_(true);
  }
  const at::Tensor y = norm(leaves[0], leaves[1], leaves[2], leaves[3]);
  y.backward(direction);
  const auto exact = [](const at::Tensor& t) { return t.detach().cpu().to(torch::kFloat64); };
  return {exact(y), exact(leaves[0].grad()), exact(leaves[1].grad()), exact(leaves[2].grad()),
          exact(leaves[3].grad())};
}

struct NormCase {
  int64_t images, channels, groups, side;
  double offset;
};

/// Against LibTorch in float64 on the CPU, from the same numbers.
TEST(GpuLayers, GroupNormEqualsLibTorchs) {
  SKIP_WITHOUT_GPU(gpu);
  for (const NormCase& c :
       {NormCase{3, 32, 8, 14, 0}, NormCase{2, 48, 8, 5, 3}, NormCase{3, 7, 7, 3, 0},
        NormCase{1, 22, 2, 9, -10}, NormCase{5, 16, 4, 28, 100}, NormCase{2, 8, 2, 1, 0},
        NormCase{4, 128, 32, 32, 0.5}, NormCase{2, 512, 32, 16, 1}, NormCase{130, 12, 3, 2, 0}}) {
    for (const auto dtype : {torch::kFloat32, torch::kBFloat16}) {
      const auto x =
          to_channels_last((draws("x", {c.images, c.channels, c.side, c.side}) + c.offset).to(dtype));
      const auto direction = to_channels_last(draws("direction", x.sizes()).to(dtype));
      const auto weight = draws("weight", {c.channels, 1}).flatten() + 1;
      const auto bias = draws("bias", {c.channels, 1}).flatten();
      const auto shift = draws("shift", {c.images, c.channels});
      for (const auto activation : {Activation::kNone, Activation::kSwish}) {
        const auto device = tensor::compute_device();
        const auto there = run(x.to(device), weight.to(device), bias.to(device), shift.to(device),
                               direction.to(device), [&](auto& v, auto& w, auto& b, auto& s) {
                                 EXPECT_TRUE(suits_gpu_kernels(v));
                                 return group_norm(v, c.groups, w, b, activation, s);
                               });
        const auto d = torch::kFloat64;
        const auto exact = run(x.to(d), weight.to(d), bias.to(d), shift.to(d), direction.to(d),
                               [&](auto& v, auto& w, auto& b, auto& s) {
                                 const auto moved = (v + s.unsqueeze(2).unsqueeze(3)).contiguous();
                                 const auto z = torch::group_norm(moved, c.groups, w, b, 1e-6);
                                 return activation == Activation::kSwish ? torch::silu(z) : z;
                               });
        // One rounding to bfloat16 of 8 bits; float32 of numbers 100 deviations from zero loses 7 bits.
        const double part =
            dtype == torch::kBFloat16 ? 1.0 / 128 : 2e-5 * std::max(1.0, std::abs(c.offset) / 4);
        const auto near = [&](const at::Tensor& want) {
          return TensorNear(want, part * std::max(1.0, want.abs().max().template item<double>()));
        };
        const auto what = [&] {
          return fmt::format("{} channels, {} groups, side {}, offset {}, {}", c.channels, c.groups, c.side,
                             c.offset, dtype == torch::kBFloat16 ? "bfloat16" : "float32");
        };
        EXPECT_THAT(there.y, near(exact.y)) << what();
        EXPECT_THAT(there.dx, near(exact.dx)) << what();
        EXPECT_THAT(there.dweight, near(exact.dweight)) << what();
        EXPECT_THAT(there.dbias, near(exact.dbias)) << what();
        EXPECT_THAT(there.dshift, near(exact.dshift)) << what();
      }
    }
  }
}

TEST(GpuLayers, DropoutKeepsWhatTheCpuKeeps) {
  SKIP_WITHOUT_GPU(gpu);
  const TrainingPass pass{.seed = 4, .step = 9, .first_row = 2};
  for (const int64_t channels : {1, 21, 64}) {
    for (const auto dtype : {torch::kFloat32, torch::kBFloat16}) {
      const auto x = to_channels_last(draws("x", {3, channels, 7, 7}).to(dtype)).requires_grad_(true);
      const auto there = x.detach().to(tensor::compute_device()).requires_grad_(true);
      const auto dy = to_channels_last(draws("dy", x.sizes()).to(dtype));
      const auto want = dropout(x, 0.3, pass, "layer"), got = dropout(there, 0.3, pass, "layer");
      want.backward(dy);
      got.backward(dy.to(tensor::compute_device()));
      EXPECT_THAT(got.detach().cpu(), TensorEq(want.detach())) << channels;
      EXPECT_THAT(there.grad().cpu(), TensorEq(x.grad())) << channels;
    }
  }
}

}  // namespace
}  // namespace ddpm_eval::ddpm
