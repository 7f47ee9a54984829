#include "base/training/batches.h"

#include "tests/support/tensor_matchers.h"

#include <gtest/gtest.h>

namespace ddpm_eval::training {
namespace {

using testing::TensorEq;

at::Tensor first_batches(BatchOrder order, int64_t count) {
  std::vector<at::Tensor> batches;
  for (int64_t step = 0; step < count; ++step) {
    batches.push_back(order.indices(step));
  }
  return torch::cat(batches);
}

TEST(BatchOrder, EveryEpochIsAPermutationAcrossBatchBorders) {
  // 10 images in batches of 4: epochs end inside batches.
  const auto all = first_batches(BatchOrder(3, 4, 10), 10);
  ASSERT_EQ(all.size(0), 40);
  for (int64_t epoch = 0; epoch < 4; ++epoch) {
    const auto one = all.slice(0, epoch * 10, (epoch + 1) * 10);
    EXPECT_THAT(std::get<0>(one.sort()), TensorEq(torch::arange(10))) << "epoch " << epoch;
  }
  EXPECT_FALSE(torch::equal(all.slice(0, 0, 10), all.slice(0, 10, 20)));
}

TEST(BatchOrder, DependsOnSeedAndStepAlone) {
  BatchOrder walked(3, 7, 50);
  const auto all = first_batches(walked, 30);
  for (const int64_t step : {29L, 0L, 13L}) {
    EXPECT_THAT(BatchOrder(3, 7, 50).indices(step), TensorEq(all.slice(0, step * 7, (step + 1) * 7)));
    EXPECT_THAT(walked.indices(step), TensorEq(all.slice(0, step * 7, (step + 1) * 7)));
  }
  EXPECT_FALSE(torch::equal(BatchOrder(4, 7, 50).indices(0), walked.indices(0)));
}

TEST(BatchOrder, BatchLargerThanTheDataSet) {
  const auto batch = BatchOrder(0, 7, 3).indices(0);
  EXPECT_THAT(std::get<0>(batch.slice(0, 0, 3).sort()), TensorEq(torch::arange(3)));
  EXPECT_THAT(std::get<0>(batch.slice(0, 3, 6).sort()), TensorEq(torch::arange(3)));
  EXPECT_THAT(BatchOrder(0, 1, 1).indices(12345), TensorEq(torch::zeros({1}, torch::kInt64)));
}

TEST(Flips, HalfOfTheSlotsAndReproducible) {
  const auto flips = horizontal_flips(5, 9, 10000);
  EXPECT_EQ(flips.scalar_type(), torch::kBool);
  EXPECT_NEAR(flips.to(torch::kFloat64).mean().item<double>(), 0.5, 0.02);
  EXPECT_THAT(horizontal_flips(5, 9, 10000), TensorEq(flips));
  // The first slots do not depend on how many there are.
  EXPECT_THAT(horizontal_flips(5, 9, 16), TensorEq(flips.slice(0, 0, 16)));
  EXPECT_FALSE(torch::equal(horizontal_flips(5, 10, 10000), flips));
}

TEST(Flips, MirrorLeftToRight) {
  const auto images = torch::arange(12, torch::kUInt8).view({2, 1, 2, 3});
  const auto flipped = flip_horizontally(images, torch::tensor({true, false}));
  EXPECT_THAT(flipped.view({-1}),
              TensorEq(torch::tensor({2, 1, 0, 5, 4, 3, 6, 7, 8, 9, 10, 11}).to(torch::kUInt8)));
}

}  // namespace
}  // namespace ddpm_eval::training
