#include "ddpm/group_norm.h"

#include "base/tensor/noise.h"
#include "base/tensor/runtime.h"
#include "ddpm/layers.h"
#include "tests/support/tensor_matchers.h"

#include <gmock/gmock.h>

namespace ddpm_eval::ddpm {
namespace {

using testing::TensorEq;
using testing::TensorNear;

at::Tensor draws(const char* purpose, at::IntArrayRef shape) {
  return tensor::normal_rows({5, purpose}, tensor::index_range(0, shape[0]), 0, shape.slice(1));
}

struct Result {
  at::Tensor y, dx, dweight, dbias;
};

/// The value and the gradients of sum(y direction).
template <class Norm>
Result run(at::Tensor x, at::Tensor weight, at::Tensor bias, const at::Tensor& direction, const Norm& norm) {
  x = x.detach().requires_grad_(true);
  weight = weight.detach().requires_grad_(true);
  bias = bias.detach().requires_grad_(true);
  const at::Tensor y = norm(x, weight, bias);
  (y * direction).sum().backward();
  return {y.detach(), x.grad(), weight.grad(), bias.grad()};
}

struct Case {
  int64_t channels, groups, side;
  double offset;
};

/// Against LibTorch in float64.
TEST(GroupNorm, ValueAndGradientsEqualLibTorchs) {
  // Widths of 16, 4 and 1 at a time; more positions than one chunk of sums; a mean far from zero.
  for (const Case& c : {Case{32, 8, 14, 0}, Case{48, 8, 5, 3}, Case{7, 7, 3, 0}, Case{22, 2, 9, -10},
                        Case{16, 8, 2, 0}, Case{8, 1, 28, 1}}) {
    const auto x = to_channels_last(draws("x", {3, c.channels, c.side, c.side}) + c.offset);
    const auto weight = draws("weight", {c.channels, 1}).flatten() + 1;
    const auto bias = draws("bias", {c.channels, 1}).flatten();
    const auto direction = draws("direction", x.sizes());
    for (const auto activation : {Activation::kNone, Activation::kSwish}) {
      const auto fused = run(x, weight, bias, direction, [&](auto& v, auto& w, auto& b) {
        return group_norm(v, c.groups, w, b, activation);
      });
      const auto d = torch::kFloat64;
      const auto exact =
          run(x.to(d), weight.to(d), bias.to(d), direction.to(d), [&](auto& v, auto& w, auto& b) {
            const auto z = torch::group_norm(v.contiguous(), c.groups, w, b, 1e-6);
            return activation == Activation::kSwish ? torch::silu(z) : z;
          });
      const auto near = [](const at::Tensor& want) {
        return TensorNear(want, 2e-5 * std::max(1.0, want.abs().max().template item<double>()));
      };
      EXPECT_THAT(fused.y, near(exact.y)) << c.channels;
      EXPECT_THAT(fused.dx, near(exact.dx)) << c.channels;
      EXPECT_THAT(fused.dweight, near(exact.dweight)) << c.channels;
      EXPECT_THAT(fused.dbias, near(exact.dbias)) << c.channels;
      EXPECT_TRUE(fused.y.is_contiguous(torch::MemoryFormat::ChannelsLast));
    }
  }
}

/// bfloat16 and a shift per image and channel, against LibTorch in float64 from the same rounded numbers.
TEST(GroupNorm, Bfloat16AndShiftsEqualLibTorchsInFloat64) {
  const auto dtype = torch::kBFloat16;
  const auto x = to_channels_last(draws("x", {3, 48, 9, 9}) + 1).to(dtype);
  const auto dy = to_channels_last(draws("dy", x.sizes())).to(dtype);
  const auto weight = draws("weight", {48, 1}).flatten() + 1;
  const auto bias = draws("bias", {48, 1}).flatten();
  const auto shift = draws("shift", {3, 48}) * 2;
  const auto gradients = [&](const at::Tensor& one, const at::Tensor& by, const auto& norm) {
    std::vector<at::Tensor> leaves;
    for (const auto& leaf : {one, weight, bias, shift}) {
      leaves.push_back(leaf.to(leaf.is_same(one)           ? one.scalar_type()
                               : by.scalar_type() == dtype ? torch::kFloat32
                                                           : by.scalar_type())
                           .detach()
                           .clone()
                           .requires_grad_(true));
    }
    const auto y = norm(leaves[0], leaves[1], leaves[2], leaves[3]);
    y.backward(by);
    std::vector<at::Tensor> all{y.detach()};
    for (const auto& leaf : leaves) {
      all.push_back(leaf.grad());
    }
    return all;
  };
  for (const auto activation : {Activation::kNone, Activation::kSwish}) {
    const auto got = gradients(
        x, dy, [&](auto& v, auto& w, auto& b, auto& s) { return group_norm(v, 8, w, b, activation, s); });
    const auto d = torch::kFloat64;
    const auto want = gradients(x.to(d).contiguous(), dy.to(d), [&](auto& v, auto& w, auto& b, auto& s) {
      const auto z = torch::group_norm(v + s.unsqueeze(2).unsqueeze(3), 8, w, b, 1e-6);
      return activation == Activation::kSwish ? torch::silu(z) : z;
    });
    EXPECT_EQ(got[0].scalar_type(), dtype);
    EXPECT_EQ(got[1].scalar_type(), dtype);
    for (size_t i = 0; i < got.size(); ++i) {
      // y and dx are rounded to 8 bits once; sums over positions stay float32.
      const double largest = want[i].abs().max().item<double>();
      EXPECT_THAT(got[i].to(d), TensorNear(want[i], (i < 2 ? 0x1p-8 : 2e-5) * largest)) << i;
    }
  }
}

TEST(GroupNorm, SwishHoldsOverTheWholeRange) {
  // Two groups of a constant each would divide by zero; so the normalisation is undone by weight and bias.
  const auto z = torch::linspace(-120, 120, 4096, torch::kFloat32);
  const auto x = to_channels_last(z.view({1, 1, 64, 64}));
  const double spread = std::sqrt(z.to(torch::kFloat64).pow(2).mean().item<double>());
  const auto y = group_norm(x, 1, torch::full({1}, spread), torch::zeros({1}), Activation::kSwish).flatten();
  const auto want = torch::silu(z.to(torch::kFloat64));
  EXPECT_THAT(y, TensorNear(want, 4e-5));
  const auto tail = z.lt(-1) & z.gt(-20);
  const auto relative = (y / want - 1).masked_select(tail).abs().max().item<double>();
  EXPECT_LT(relative, 2e-5);  // the argument itself is rounded: 20 * 6e-8 and a little
}

TEST(GroupNorm, ThreadsDoNotChangeTheBits) {
  const auto x = to_channels_last(draws("x", {8, 32, 12, 12}));
  const auto weight = torch::ones({32}), bias = torch::zeros({32});
  const auto all = [&] {
    return run(x, weight, bias, draws("direction", x.sizes()),
               [](auto& v, auto& w, auto& b) { return group_norm(v, 8, w, b, Activation::kSwish); });
  };
  const auto one = all();
  tensor::configure_runtime(2);
  const auto two = all();
  tensor::configure_runtime(1);
  EXPECT_THAT(two.y, TensorEq(one.y));
  EXPECT_THAT(two.dx, TensorEq(one.dx));
  EXPECT_THAT(two.dweight, TensorEq(one.dweight));
}

TEST(GroupNorm, OtherLayoutsGiveTheSame) {
  const auto x = draws("x", {2, 8, 6, 6});
  const auto weight = torch::ones({8}), bias = torch::zeros({8});
  EXPECT_THAT(group_norm(x, 4, weight, bias, Activation::kSwish),
              TensorNear(group_norm(to_channels_last(x), 4, weight, bias, Activation::kSwish), 1e-5));
}

TEST(GroupNorm, NaNIsPassedOn) {
  auto x = to_channels_last(draws("x", {2, 8, 6, 6}));
  x[0][0][0][0] = std::numeric_limits<float>::quiet_NaN();
  const auto y = group_norm(x, 4, torch::ones({8}), torch::zeros({8}), Activation::kSwish);
  EXPECT_TRUE(y[0].slice(0, 0, 2).isnan().all().item<bool>());
  EXPECT_FALSE(y[1].isnan().any().item<bool>());
}

TEST(ConcatChannels, SplitsTheGradient) {
  const auto a = to_channels_last(draws("a", {2, 3, 4, 4})).requires_grad_(true);
  const auto b = to_channels_last(draws("b", {2, 5, 4, 4})).requires_grad_(true);
  const auto direction = to_channels_last(draws("direction", {2, 8, 4, 4}));
  const auto y = concat_channels(a, b);
  EXPECT_THAT(y.detach(), TensorEq(torch::cat({a, b}, 1).detach()));
  (y * direction).sum().backward();
  EXPECT_THAT(a.grad(), TensorEq(direction.slice(1, 0, 3)));
  EXPECT_THAT(b.grad(), TensorEq(direction.slice(1, 3, 8)));
}

}  // namespace
}  // namespace ddpm_eval::ddpm
