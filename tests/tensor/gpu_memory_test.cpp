#include "base/tensor/gpu_memory.h"

#include "base/tensor/runtime.h"
#include "tests/support/gpu.h"
#include "tests/support/tensor_matchers.h"

#include <c10/util/Exception.h>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::tensor {
namespace {

using ::testing::ElementsAre;
using testing::TensorEq;

/// Twice its input, and nothing, on a device with room for so many rows.
class SmallDevice {
 public:
  explicit SmallDevice(int64_t room) : room_(room) {}

  std::vector<at::Tensor> operator()(const std::vector<at::Tensor>& inputs) {
    const int64_t rows = inputs.front().size(0);
    called.push_back(rows);
    if (rows > room_) {
      throw c10::OutOfMemoryError({"f", "x.cpp", 1}, "out of memory");
    }
    return {inputs.front() * 2, at::Tensor(), inputs.front() + inputs.back()};
  }

  std::vector<int64_t> called;

 private:
  int64_t room_;
};

std::vector<at::Tensor> run(Halving& halving, SmallDevice& device, int64_t rows) {
  const auto x = torch::arange(2.0 * static_cast<double>(rows)).view({rows, 2});
  const auto body = [&](const auto& inputs) {
    EXPECT_FALSE(inputs[1].defined());
    return device(inputs);
  };
  return halved_when_full({x, at::Tensor(), x + 1}, body, halving);
}

void expect_results(const std::vector<at::Tensor>& results, int64_t rows) {
  const auto x = torch::arange(2.0 * static_cast<double>(rows)).view({rows, 2});
  ASSERT_EQ(results.size(), 3u);
  EXPECT_THAT(results[0], TensorEq(x * 2));
  EXPECT_FALSE(results[1].defined());
  EXPECT_THAT(results[2], TensorEq(x * 2 + 1));
}

TEST(HalvedWhenFull, WhatFitsIsRunWhole) {
  Halving halving = false;
  SmallDevice device(8);
  expect_results(run(halving, device, 8), 8);
  expect_results(run(halving, device, 3), 3);
  EXPECT_THAT(device.called, ElementsAre(8, 3));
}

TEST(HalvedWhenFull, ASingleRowHasNoHalves) {
  Halving halving = false;
  SmallDevice device(0);
  EXPECT_THROW(run(halving, device, 1), c10::OutOfMemoryError);
  EXPECT_THAT(device.called, ElementsAre(1));
}

TEST(HalvedWhenFull, OtherErrorsGoOn) {
  Halving halving = false;
  int calls = 0;
  const auto body = [&](const auto&) -> std::vector<at::Tensor> {
    ++calls;
    throw std::runtime_error("broken");
  };
  EXPECT_THROW(halved_when_full({torch::zeros({4})}, body, halving), std::runtime_error);
  EXPECT_EQ(calls, 1);
  EXPECT_FALSE(halving);
}

TEST(HalvedWhenFull, WhatDoesNotFitIsHalvedFromThenOn) {
  Halving halving = false;
  SmallDevice device(4);
  expect_results(run(halving, device, 7), 7);
  EXPECT_THAT(device.called, ElementsAre(7, 4, 3));
  EXPECT_TRUE(halving);
  device.called.clear();
  expect_results(run(halving, device, 2), 2);
  expect_results(run(halving, device, 1), 1);
  EXPECT_THAT(device.called, ElementsAre(1, 1, 1));
}

/// Whatever runs out of memory: a command's batches are all cut alike.
TEST(HalvedWhenFull, TheProcessHalvesAllThatComesLater) {
  EXPECT_FALSE(runtime_context().contains("halved_batches"));
  SmallDevice device(4), other(8);
  expect_results(run(process_halving(), device, 8), 8);
  EXPECT_TRUE(batches_were_halved());
  EXPECT_EQ(runtime_context()["halved_batches"], true);
  EXPECT_EQ(arithmetic_context()["halved_batches"], true);
  expect_results(run(process_halving(), other, 8), 8);
  EXPECT_THAT(other.called, ElementsAre(4, 4));
  process_halving() = false;
}

TEST(HalvedWhenFull, AHalfThatDoesNotFitEitherIsAnError) {
  Halving halving = false;
  SmallDevice device(3);
  EXPECT_THROW(run(halving, device, 8), c10::OutOfMemoryError);
  EXPECT_THAT(device.called, ElementsAre(8, 4));
}

/// A memory that is really full, of which the half is there.
TEST(GpuMemory, AFullCardIsHalved) {
  SKIP_WITHOUT_GPU(gpu);
  const auto bytes = torch::dtype(torch::kUInt8).device(compute_device());
  const auto holds = [&](int64_t size) {
    try {
      torch::empty({size}, bytes);
      return true;
    } catch (const c10::OutOfMemoryError&) {
      return false;
    }
  };
  int64_t size = int64_t{1} << 30;
  while (holds(size)) {
    size *= 2;
  }
  Halving halving = false;
  const auto x = torch::arange(8.0).to(compute_device());
  std::vector<int64_t> called;
  const auto body = [&](const auto& inputs) {
    const int64_t rows = inputs[0].size(0);
    called.push_back(rows);
    torch::empty({size / 8 * rows}, bytes);
    return std::vector<at::Tensor>{inputs[0] * 2};
  };
  const auto results = halved_when_full({x}, body, halving);
  EXPECT_THAT(called, ElementsAre(8, 4, 4));
  EXPECT_THAT(results[0].cpu(), TensorEq(torch::arange(8.0) * 2));
}

}  // namespace
}  // namespace ddpm_eval::tensor
