#include "base/tensor/runtime.h"

#include "base/core/error.h"
#include "base/tensor/named_tensor.h"
#include "base/tensor/send.h"
#include "base/tensor/shape.h"
#include "tests/support/errors.h"
#include "tests/support/gpu.h"
#include "tests/support/tensor_matchers.h"

#include <ATen/Parallel.h>
#include <gmock/gmock.h>

namespace ddpm_eval::tensor {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using testing::message_of;

TEST(Runtime, AFastBlasIsLoaded) {
  EXPECT_THAT(runtime_info().blas, AnyOf(HasSubstr("OpenBLAS"), HasSubstr("MKL")));
}

TEST(Runtime, OneCallSetsEveryLibrary) {
  configure_runtime(2);
  const auto info = runtime_info();
  EXPECT_EQ(info.threads, 2);
  EXPECT_EQ(info.blas_threads, info.blas.starts_with("MKL") ? 0 : 2);
  EXPECT_EQ(info.eigen_threads, 2);
  EXPECT_EQ(info.opencv_threads, 1);
  configure_runtime(0);
  EXPECT_EQ(runtime_info().threads, available_processors());
  configure_runtime(1);
}

TEST(Runtime, OurOwnParallelLoopsRunInParallel) {
  configure_runtime(2);
  std::atomic<int> chunks{0};
  at::parallel_for(0, 2, 1, [&](int64_t, int64_t) { ++chunks; });
  configure_runtime(1);
  EXPECT_EQ(chunks, 2) << "at::parallel_for is serial in files built without -fopenmp";
}

TEST(Runtime, NegativeThreadsAreRefused) {
  EXPECT_THAT(message_of<core::UsageError>([] { configure_runtime(-1); }), HasSubstr("--threads -1"));
}

TEST(Send, ToTheCpuIsTheTensorItself) {
  const auto x = torch::arange(6.0).view({2, 3});
  EXPECT_TRUE(send(x, at::kCPU).is_same(x));
}

TEST(GpuSend, TakesWhatIsThereNow) {
  SKIP_WITHOUT_GPU(gpu);
  const auto x = torch::arange(24.0).view({2, 3, 2, 2});
  for (const auto& sent : {x.clone(), x.contiguous(torch::MemoryFormat::ChannelsLast), x.transpose(0, 1),
                           x.narrow(0, 0, 1).expand({4, 3, 2, 2})}) {
    const auto wanted = sent.clone();
    const auto there = send(sent, compute_device());
    if (sent.is_non_overlapping_and_dense()) {
      sent.zero_();
    }
    EXPECT_TRUE(there.is_cuda());
    EXPECT_THAT(there.cpu(), testing::TensorEq(wanted));
    EXPECT_TRUE(send(there, compute_device()).is_same(there));
    x.copy_(torch::arange(24.0).view({2, 3, 2, 2}));
  }
}

TEST(NamedTensors, CopyExactlyRefusesEveryDifference) {
  const NamedTensors target = {{"a", torch::zeros({2, 3})}, {"b", torch::zeros({1})}};
  const NamedTensors good = {{"b", torch::ones({1})}, {"a", torch::ones({2, 3})}};
  copy_exactly(good, target, "f");
  EXPECT_THAT(target[0].tensor, testing::TensorEq(torch::ones({2, 3})));
  EXPECT_EQ(message_of<core::DataError>([&] { copy_exactly({good[0]}, target, "f"); }),
            "f: tensor 'a' is missing");
  EXPECT_EQ(message_of<core::DataError>([&] {
              copy_exactly({good[0], good[1], {"c", torch::ones({1})}}, target, "f");
            }),
            "f: tensor 'c' is not part of this network");
  EXPECT_EQ(message_of<core::DataError>([&] {
              copy_exactly({good[0], {"a", torch::ones({3, 2})}}, target, "f");
            }),
            "f: tensor 'a' is float32 [3, 2] where float32 [2, 3] is needed");
}

TEST(Shape, ExpectNamesBothShapes) {
  expect(torch::zeros({4, 2}), at::kFloat, {-1, 2}, "points");
  EXPECT_THAT(message_of<core::LogicError>([] {
                expect(torch::zeros({4, 3}), at::kFloat, {-1, 2}, "points");
              }),
              HasSubstr("points is float32 [4, 3], expected float32 [-1, 2]"));
}

}  // namespace
}  // namespace ddpm_eval::tensor
