#include "base/training/backward.h"

#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <torch/types.h>

namespace ddpm_eval::training {
namespace {

constexpr int64_t kMoreThanABucket = 2'000'000;  // float32

/// The first of three processes that all have the same gradients; it notes the sums.
class ThreeAlike final : public tensor::ProcessGroup {
 public:
  int rank() const override { return 0; }
  int size() const override { return 3; }
  std::vector<at::Tensor> all_gather(const at::Tensor& mine) override { return {mine, mine, mine}; }
  std::string from_first(const std::string& text) override { return text; }
  bool any(bool mine) override { return mine; }
  void copy_from_first(at::Tensor& /*values*/) override {}
  bool tell_failure(core::ExitCode /*code*/, const std::string& /*message*/) override { return true; }
  void leave() override {}

  std::function<void()> begin_sum(const std::vector<at::Tensor>& tensors) override {
    const auto number = begun.size();
    begun.push_back({tensors, on_begin && on_begin()});
    return [this, number] {
      if (number == fails_at) {
        throw std::runtime_error("gone");
      }
      finished.push_back(number);
      for (const auto& tensor : begun[number].tensors) {
        tensor.mul_(3);
      }
    };
  }

  struct Sum {
    std::vector<at::Tensor> tensors;
    bool flag;  ///< what on_begin() said
  };
  std::vector<Sum> begun;
  std::vector<size_t> finished;
  std::function<bool()> on_begin;
  size_t fails_at = 1000;
};

at::Tensor leaf(int64_t size, at::ScalarType type = torch::kFloat32) {
  return torch::ones({size}, type).requires_grad_(true);
}

TEST(BackwardOverProcesses, ASumBeginsWhileThePassGoesOn) {
  const auto first = leaf(kMoreThanABucket);
  const auto second = leaf(kMoreThanABucket);
  const auto third = leaf(5);
  ThreeAlike group;
  group.on_begin = [&] { return first.grad().defined(); };
  const auto products = (first * 2 * second).sum();
  const auto loss = products + third.sum();  // what comes last goes backward first

  backward_over_processes(loss, {{"first", first}, {"second", second}, {"third", third}}, group);

  ASSERT_EQ(group.begun.size(), 2U);
  EXPECT_EQ(group.begun[0].tensors.size(), 2U);  // the third and the second
  EXPECT_FALSE(group.begun[0].flag);
  EXPECT_EQ(group.begun[1].tensors.size(), 1U);
  EXPECT_EQ(group.finished, (std::vector<size_t>{0, 1}));
  EXPECT_TRUE(first.grad().equal(torch::full({kMoreThanABucket}, 6.0F)));
  EXPECT_TRUE(second.grad().equal(torch::full({kMoreThanABucket}, 6.0F)));
  EXPECT_TRUE(third.grad().equal(torch::full({5}, 3.0F)));
}

TEST(BackwardOverProcesses, SumsBeginInTheOrderOfTheParametersWhateverComesFirst) {
  const auto early = leaf(kMoreThanABucket);
  const auto late = leaf(kMoreThanABucket);
  ThreeAlike group;
  group.on_begin = [&] { return early.grad().defined(); };
  const auto loss = ((late * 2).sum() * early).sum();  // the gradient of `early` is there first

  backward_over_processes(loss, {{"early", early}, {"late", late}}, group);

  ASSERT_EQ(group.begun.size(), 2U);
  EXPECT_TRUE(group.begun[0].flag);  // it has waited for that of `late`
  EXPECT_TRUE(group.begun[0].tensors.front().is_same(late.grad()));
  EXPECT_TRUE(group.begun[1].tensors.front().is_same(early.grad()));
}

TEST(BackwardOverProcesses, EachTypeHasItsSumAndWhatTheGraphDoesNotReachNone) {
  const auto single = leaf(2);
  const auto unused = leaf(2);
  const auto other = leaf(2, torch::kFloat64);
  ThreeAlike group;
  const auto loss = (single.to(torch::kFloat64) * 5 + other).sum();

  backward_over_processes(loss, {{"single", single}, {"unused", unused}, {"other", other}}, group);

  ASSERT_EQ(group.begun.size(), 2U);
  EXPECT_TRUE(group.begun[0].tensors.front().is_same(other.grad()));
  EXPECT_EQ(group.begun[1].tensors.size(), 1U);
  EXPECT_TRUE(single.grad().equal(torch::full({2}, 15.0F)));
  EXPECT_FALSE(unused.grad().defined());
}

TEST(BackwardOverProcesses, GradientsOfEarlierPassesAreSummedOnceWithThem) {
  const auto weight = leaf(2);
  (weight * 2).sum().backward();
  ThreeAlike group;

  backward_over_processes((weight * 5).sum(), {{"weight", weight}}, group);

  EXPECT_EQ(group.finished.size(), 1U);
  EXPECT_TRUE(weight.grad().equal(torch::full({2}, 21.0F)));
}

TEST(BackwardOverProcesses, AFailedSumIsToldAndLeavesNothingBehind) {
  const auto weight = leaf(2);
  ThreeAlike group;
  group.fails_at = 0;
  const auto loss = (weight * 5).sum();
  EXPECT_THROW(backward_over_processes(loss, {{"weight", weight}}, group), std::runtime_error);

  (weight * 1).sum().backward();

  EXPECT_EQ(group.begun.size(), 1U);
  EXPECT_TRUE(weight.grad().equal(torch::full({2}, 6.0F)));
}

}  // namespace
}  // namespace ddpm_eval::training
