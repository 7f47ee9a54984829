#include "base/tensor/gpu_graph.h"

#include "base/core/error.h"
#include "base/tensor/noise.h"
#include "tests/support/errors.h"
#include "tests/support/gpu.h"
#include "tests/support/tensor_matchers.h"

#include <array>
#include <vector>

#include <c10/util/Exception.h>
#include <gmock/gmock.h>

namespace ddpm_eval::tensor {
namespace {

using ::testing::HasSubstr;
using testing::message_of;
using testing::TensorEq;
using Inputs = ReplayedFunction::Inputs;

at::Tensor draws(const char* purpose, at::IntArrayRef shape) {
  return normal_rows({5, purpose}, index_range(0, shape[0]), 0, shape.slice(1), compute_device());
}

/// Two layers, and how often it was asked.
struct Layers {
  at::Tensor first = draws("first", {6, 8}).requires_grad_(true);
  at::Tensor second = draws("second", {8, 3}).requires_grad_(true);
  at::Tensor unused = draws("unused", {2, 2}).requires_grad_(true);
  int calls = 0;

  ReplayedFunction::Body body() {
    return [this](const Inputs& inputs) {
      ++calls;
      return inputs[0].mm(first).tanh().mm(second) * inputs[1];
    };
  }
};

TEST(ReplayedFunction, OnTheCpuIsTheFunction) {
  Layers layers;
  ReplayedFunction replayed({layers.first, layers.second});
  for (int call = 1; call <= 4; ++call) {
    const Inputs inputs{draws("x", {5, 6}), torch::full({1}, call)};
    EXPECT_THAT(replayed("", inputs, layers.body()), TensorEq(layers.body()(inputs)));
  }
  EXPECT_EQ(layers.calls, 8);
}

TEST(GpuGraph, ReplaysValuesAndGradientsToTheBit) {
  SKIP_WITHOUT_GPU(gpu);
  Layers layers;
  ReplayedFunction replayed({layers.first, layers.second, layers.unused});
  const auto device = compute_device();
  for (int call = 1; call <= 6; ++call) {
    const Inputs inputs{draws("x", {5, 6}) * call, torch::full({1}, call, device)};
    const at::Tensor direction = draws("direction", {5, 3}) + call;
    // What is left has no graph, of which none may live on beside a recording.
    const auto value_and_gradients = [&](const at::Tensor& y) {
      for (auto* leaf : {&layers.first, &layers.second, &layers.unused}) {
        leaf->mutable_grad() = at::Tensor();
      }
      EXPECT_TRUE(y.requires_grad());
      y.backward(direction);
      return std::array{y.detach(), layers.first.grad().clone(), layers.second.grad().clone()};
    };
    const auto want = value_and_gradients(layers.body()(inputs));
    const auto got = value_and_gradients(replayed("", inputs, layers.body()));
    for (size_t i = 0; i < want.size(); ++i) {
      EXPECT_THAT(got[i], TensorEq(want[i])) << call << ", " << i;
    }
    EXPECT_FALSE(layers.unused.grad().defined());
    const at::NoGradGuard no_grad;
    layers.first.mul_(1.1);  // what an optimiser does
  }
  // Six times by itself; once as it is, once to warm up and once to be recorded.
  EXPECT_EQ(layers.calls, 6 + 3);
}

TEST(GpuGraph, AccumulatesGradientsAndRefusesThoseOfAnEarlierCall) {
  SKIP_WITHOUT_GPU(gpu);
  Layers layers;
  ReplayedFunction replayed({layers.first, layers.second});
  const Inputs inputs{draws("x", {5, 6}), torch::ones({1}, compute_device())};
  replayed("", inputs, layers.body());
  replayed("", inputs, layers.body()).sum().backward();
  const auto once = layers.first.grad().clone();
  replayed("", inputs, layers.body()).sum().backward();
  EXPECT_THAT(layers.first.grad(), TensorEq(once * 2));
  const auto early = replayed("", inputs, layers.body());
  const auto late = replayed("", inputs, layers.body());
  EXPECT_THAT(message_of<core::LogicError>([&] { early.sum().backward(); }), HasSubstr("after another call"));
  EXPECT_NO_THROW(late.sum().backward());
}

TEST(GpuGraph, GradientsOutliveTheRecordingThatTheyAreOf) {
  SKIP_WITHOUT_GPU(gpu);
  Layers layers;
  const Inputs inputs{draws("x", {5, 6}), torch::ones({1}, compute_device())};
  const Inputs others{draws("x", {4, 6}), torch::ones({1}, compute_device())};
  layers.body()(inputs).sum().backward();
  const auto want = layers.first.grad().clone();
  layers.first.mutable_grad() = at::Tensor();
  at::Tensor kept;
  {
    ReplayedFunction replayed({layers.first, layers.second});
    replayed("", inputs, layers.body());
    replayed("", inputs, layers.body());
    kept = replayed("", inputs, layers.body());
    const at::NoGradGuard no_grad;
    replayed("", others, layers.body());
    replayed("", others, layers.body());  // recorded in place of the first
  }
  kept.sum().backward();
  EXPECT_THAT(layers.first.grad(), TensorEq(want));
}

TEST(GpuGraph, OtherShapesAndVariantsAreNotReplayed) {
  SKIP_WITHOUT_GPU(gpu);
  const at::NoGradGuard no_grad;
  Layers layers;
  ReplayedFunction replayed;
  const auto call = [&](int64_t rows, const std::string& variant) {
    const Inputs inputs{draws("x", {rows, 6}), torch::ones({1}, compute_device())};
    const int before = layers.calls;
    const auto got = replayed(variant, inputs, layers.body());
    const int asked = layers.calls - before;
    EXPECT_THAT(got, TensorEq(layers.body()(inputs))) << rows << variant;
    EXPECT_FALSE(got.requires_grad());
    return asked;
  };
  EXPECT_EQ(call(5, "a"), 1);
  EXPECT_EQ(call(5, "a"), 2);  // recorded
  EXPECT_EQ(call(5, "a"), 0);
  EXPECT_EQ(call(4, "a"), 1);
  EXPECT_EQ(call(5, "a"), 0);
  EXPECT_EQ(call(4, "a"), 1);  // not twice in a row
  EXPECT_EQ(call(5, "a"), 0);
  EXPECT_EQ(call(5, "b"), 1);
  EXPECT_EQ(call(5, "b"), 2);
  EXPECT_EQ(call(5, "b"), 0);
  const auto kept = replayed("b", {draws("x", {5, 6}), torch::ones({1}, compute_device())}, layers.body());
  const auto copy = kept.clone();
  replayed("b", {draws("other", {5, 6}), torch::ones({1}, compute_device())}, layers.body());
  EXPECT_THAT(kept, TensorEq(copy));  // a result stays
}

/// Room for the call, but not for the copy of its input that a recording has.
TEST(GpuGraph, WithoutMemoryForARecordingTheFunctionIsCalled) {
  SKIP_WITHOUT_GPU(gpu);
  const at::NoGradGuard no_grad;
  const auto numbers = torch::dtype(torch::kFloat32).device(compute_device());
  const int64_t gibibyte = int64_t{1} << 28;  // of floats
  const Inputs inputs{torch::ones({2 * gibibyte}, numbers)};
  std::vector<at::Tensor> taken;
  for (bool full = false; !full;) {
    try {
      taken.push_back(torch::empty({gibibyte}, numbers));
    } catch (const c10::OutOfMemoryError&) {
      full = true;
    }
  }
  taken.back() = at::Tensor();  // room for all else
  int calls = 0;
  ReplayedFunction replayed;
  const int64_t before = replayed_calls();
  for (int call = 1; call <= 4; ++call) {
    const auto y = replayed("", inputs, [&](const Inputs& given) {
      ++calls;
      return given[0].narrow(0, 0, 5) * call;
    });
    EXPECT_THAT(y.cpu(), TensorEq(torch::full({5}, static_cast<float>(call))));
  }
  EXPECT_EQ(calls, 4);
  EXPECT_EQ(replayed_calls(), before);
}

}  // namespace
}  // namespace ddpm_eval::tensor
