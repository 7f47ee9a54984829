#include "base/tensor/process_group.h"

#include "base/core/host_address.h"
#include "base/tensor/process_store.h"
#include "tests/support/gpu.h"

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <torch/types.h>

// Processes are threads here, each with a group of its own: what they send goes through sockets all the same.
namespace ddpm_eval::tensor {
namespace {

using core::ExitCode;
using ::testing::HasSubstr;

/// Runs `work` in `count` processes that have met, and then leave.
void in_processes(int count, const GroupOptions& options, const std::function<void(ProcessGroup&)>& work) {
  const int port = core::free_local_port();
  std::vector<std::thread> threads;
  for (int rank = 0; rank < count; ++rank) {
    threads.emplace_back([&, rank] {
      const core::LaunchedProcess process{
          .rank = rank, .count = count, .local_count = count, .address = "127.0.0.1", .port = port};
      const auto group = meet_processes(process, options);
      work(*group);
      group->leave();
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
}

class ProcessGroupTest : public ::testing::Test {
 protected:
  void SetUp() override {
    try {
      require_process_groups(2, c10::Device(c10::kCPU));
    } catch (const core::UsageError& error) {
      GTEST_SKIP() << error.what();
    }
  }
};

TEST_F(ProcessGroupTest, AProcessAloneIsAGroup) {
  auto& group = process_group();
  EXPECT_EQ(group.rank(), 0);
  EXPECT_EQ(group.size(), 1);
  EXPECT_TRUE(group.is_first());
  const auto mine = torch::arange(3);
  EXPECT_THAT(group.all_gather(mine), ::testing::SizeIs(1));
  EXPECT_EQ(group.from_first("text"), "text");
  EXPECT_FALSE(group.any(false));
  EXPECT_TRUE(group.tell_failure(ExitCode::kBug, "nobody hears it"));
}

TEST_F(ProcessGroupTest, GathersPartsOfDifferentLengthsByRank) {
  in_processes(3, {}, [](ProcessGroup& group) {
    // 0 rows of the first, 2 of the last, and nothing of the second.
    const auto mine = group.rank() == 1 ? at::Tensor()
                                        : torch::full({group.rank(), 4}, group.rank() + 0.5, torch::kFloat32);
    const auto parts = group.all_gather(mine);
    ASSERT_EQ(parts.size(), 3U);
    EXPECT_EQ(parts[0].sizes(), at::IntArrayRef({0, 4}));
    EXPECT_FALSE(parts[1].defined());
    EXPECT_TRUE(parts[2].equal(torch::full({2, 4}, 2.5, torch::kFloat32)));
    EXPECT_TRUE(group.gather_rows(mine).equal(torch::full({2, 4}, 2.5, torch::kFloat32)));
    EXPECT_FALSE(group.gather_rows({}).defined());
  });
}

TEST_F(ProcessGroupTest, GathersEveryTypeThatIsSent) {
  in_processes(2, {}, [](ProcessGroup& group) {
    for (const auto type : {torch::kUInt8, torch::kInt64, torch::kFloat32, torch::kFloat64}) {
      const auto parts = group.all_gather(torch::full({2, 3, 1, 5}, 7 + group.rank(), type));
      EXPECT_TRUE(parts.at(1).equal(torch::full({2, 3, 1, 5}, 8, type)));
    }
    for (const auto& part : group.all_gather({})) {
      EXPECT_FALSE(part.defined());
    }
  });
}

TEST_F(ProcessGroupTest, TheFirstOnesTextAndAnyonesWord) {
  in_processes(4, {}, [](ProcessGroup& group) {
    EXPECT_EQ(group.from_first(group.is_first() ? "of the first" : "mine"), "of the first");
    EXPECT_EQ(group.from_first(""), "");
    EXPECT_EQ(group.number_from_first(group.is_first() ? -5 : group.rank()), -5);
    EXPECT_FALSE(group.any(false));
    EXPECT_TRUE(group.any(group.rank() == 3));
  });
}

TEST_F(ProcessGroupTest, TheFirstOnesValuesAreCopied) {
  in_processes(3, {}, [](ProcessGroup& group) {
    auto values = torch::full({3, 4}, group.rank() + 1.0, torch::kFloat64).t();
    group.copy_from_first(values);
    EXPECT_TRUE(values.equal(torch::ones({4, 3}, torch::kFloat64)));
  });
}

TEST_F(ProcessGroupTest, SumsAreTheSameBitsOnAll) {
  std::vector<std::vector<at::Tensor>> sums(3);
  in_processes(3, {}, [&](ProcessGroup& group) {
    // Large, of a layout of its own, and nothing; of another type, while those are on their way.
    std::vector<at::Tensor> tensors = {torch::full({4'000'000}, 0.1F * static_cast<float>(group.rank() + 1)),
                                       torch::full({4'000'000}, 1.0F),
                                       torch::full({3}, 0.5 + group.rank(), torch::kFloat64),
                                       torch::full({2, 3}, 2.0F).t(), torch::zeros({0})};
    const auto finish = group.begin_sum({tensors[0], tensors[1], tensors[3], tensors[4]});
    const auto finish_other = group.begin_sum({tensors[2]});
    const auto finish_nothing = group.begin_sum({tensors[4]});
    finish();
    finish_other();
    finish_nothing();
    sums[static_cast<size_t>(group.rank())] = tensors;
  });
  EXPECT_NEAR(sums[0][0][123].item<double>(), 0.6, 1e-6);
  EXPECT_TRUE(sums[0][1].equal(torch::full({4'000'000}, 3.0F)));
  EXPECT_TRUE(sums[0][2].equal(torch::full({3}, 4.5, torch::kFloat64)));
  EXPECT_TRUE(sums[0][3].equal(torch::full({3, 2}, 6.0F)));
  for (size_t i = 0; i < sums[0].size(); ++i) {
    EXPECT_TRUE(sums[1][i].equal(sums[0][i]));
    EXPECT_TRUE(sums[2][i].equal(sums[0][i]));
  }
}

TEST(GpuProcessGroup, ACardAloneGetsWhatItGives) {
  SKIP_WITHOUT_GPU(gpu);
  if (!exchanges_on_cards(compute_device())) {
    GTEST_SKIP() << "built without NCCL";
  }
  in_processes(1, {.device = compute_device()}, [](ProcessGroup& group) {
    EXPECT_TRUE(group.all_gather(torch::arange(3)).front().equal(torch::arange(3)));
    EXPECT_EQ(group.from_first("text"), "text");
    EXPECT_TRUE(group.any(true));
    EXPECT_FALSE(group.any(false));
    auto values = torch::full({2, 3}, 2.5F, compute_device()).t();
    group.copy_from_first(values);
    const auto finish = group.begin_sum({values});
    const auto finish_other = group.begin_sum({torch::ones({4}, torch::kFloat64)});
    finish();
    finish_other();
    EXPECT_TRUE(values.cpu().equal(torch::full({3, 2}, 2.5F)));
  });
}

TEST_F(ProcessGroupTest, OneThatWorksIsWaitedForLongerThanThePatience) {
  in_processes(2, {.patience = std::chrono::seconds(3)}, [](ProcessGroup& group) {
    if (group.rank() == 1) {
      volatile double sink = 0;
      for (const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(6);
           std::chrono::steady_clock::now() < end;) {
        sink = sink + 1;
      }
    }
    EXPECT_TRUE(group.any(group.rank() == 1));
  });
}

TEST_F(ProcessGroupTest, WithinAnAloneScopeAProcessIsAlone) {
  const AloneScope alone;
  EXPECT_EQ(process_group().size(), 1);
}

TEST_F(ProcessGroupTest, AnotherBuildAndAnotherRankOfTheSameNumberAreRefused) {
  const int port = core::free_local_port();
  std::vector<std::thread> threads;
  std::atomic<int> refused = 0;
  for (int rank = 0; rank < 2; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        meet_processes({.rank = rank, .count = 2, .address = "127.0.0.1", .port = port},
                       {.patience = std::chrono::seconds(5), .build = std::to_string(rank)});
      } catch (const core::UsageError& error) {
        EXPECT_THAT(error.what(), HasSubstr("runs another version of the program"));
        ++refused;
      } catch (const core::ResourceError&) {
        ++refused;  // the first one has gone meanwhile
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(refused, 2);
}

/// What `wait` throws, which must be a PeerError.
PeerError peer_error_of(const std::function<void()>& wait) {
  try {
    wait();
  } catch (const PeerError& error) {
    return error;
  }
  ADD_FAILURE() << "no PeerError";
  return {ExitCode::kDone, ""};
}

TEST_F(ProcessGroupTest, AFailureIsToldToAllWithItsCodeRankAndHost) {
  std::atomic<int> heard = 0;
  in_processes(3, {}, [&](ProcessGroup& group) {
    if (group.rank() == 2) {
      EXPECT_TRUE(group.tell_failure(ExitCode::kBadData, "a.png: is damaged"));
      EXPECT_TRUE(group.tell_failure(ExitCode::kBug, "too late"));
      return;
    }
    const auto error = peer_error_of([&] { group.any(false); });
    EXPECT_EQ(error.code(), ExitCode::kBadData);
    EXPECT_THAT(error.what(), ::testing::MatchesRegex("rank 2 on .* \\(127.0.0.1\\): a.png: is damaged"));
    EXPECT_FALSE(error.first_is_gone());
    ++heard;
  });
  EXPECT_EQ(heard, 2);
}

TEST_F(ProcessGroupTest, OneThatDoesNotComeIsNamedAfterAWhile) {
  std::atomic<int> heard = 0;
  in_processes(3, {.patience = std::chrono::seconds(3)}, [&](ProcessGroup& group) {
    if (group.rank() == 1) {
      while (heard < 2) {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
      }
      return;
    }
    const auto error = peer_error_of([&] { group.any(false); });
    EXPECT_EQ(error.code(), ExitCode::kResources);
    EXPECT_THAT(error.what(), HasSubstr("rank 1 on "));
    EXPECT_THAT(error.what(), HasSubstr("hangs: the others wait for it, and it has done nothing for 3 s"));
    ++heard;
  });
}

/// One has something to sum, and the other something to say.
TEST_F(ProcessGroupTest, ThoseWhoWaitForEachOtherEnd) {
  static std::vector<ProcessGroup*> kept(2);  // not destroyed: Gloo would wait for what never comes
  const int port = core::free_local_port();
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 2; ++rank) {
    threads.emplace_back([&, rank] {
      auto* group = kept[static_cast<size_t>(rank)] =
          meet_processes({.rank = rank, .count = 2, .local_count = 2, .address = "127.0.0.1", .port = port},
                         {.patience = std::chrono::seconds(3)})
              .release();
      const auto error = peer_error_of([&] {
        if (rank == 0) {
          group->any(false);
        } else {
          group->begin_sum({torch::ones({4})})();
        }
      });
      EXPECT_EQ(error.code(), ExitCode::kResources);
      EXPECT_THAT(error.what(),
                  HasSubstr("the processes wait for each other, and none has done anything for 3 s"));
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
}

class SlowProcessGroupTest : public ProcessGroupTest {};

/// It has come, and goes before the others have a connection with it.
TEST_F(SlowProcessGroupTest, OneThatIsLostWhileTheOthersConnectIsNamed) {
  const core::LaunchedProcess first{
      .rank = 0, .count = 2, .local_count = 2, .address = "127.0.0.1", .port = core::free_local_port()};
  auto second = first;
  second.rank = 1;
  std::thread lost([&] { meet_at_store(second, {}); });
  const auto error = peer_error_of([&] { meet_processes(first); });
  lost.join();
  EXPECT_THAT(error.what(), HasSubstr("rank 1 on "));
  EXPECT_THAT(error.what(), HasSubstr("has not been heard of for 60 s"));
}

TEST_F(ProcessGroupTest, ProcessesThatDoNotAllComeAreCounted) {
  const core::LaunchedProcess process{
      .rank = 0, .count = 2, .address = "127.0.0.1", .port = core::free_local_port()};
  try {
    meet_processes(process, {.patience = std::chrono::seconds(1)});
    FAIL() << "nobody else was there";
  } catch (const core::ResourceError& error) {
    EXPECT_THAT(error.what(), HasSubstr("1 of 2 processes of this command came to 127.0.0.1"));
    EXPECT_THAT(error.what(), HasSubstr("within 1 s; rank 1 did not"));
  }
}

TEST_F(ProcessGroupTest, AnAddressThatDoesNotServeIsNamed) {
  const core::LaunchedProcess process{
      .rank = 1, .count = 2, .address = "no-such-machine.invalid", .port = 4711};
  try {
    meet_processes(process, {.patience = std::chrono::seconds(1)});
    FAIL() << "there is no such machine";
  } catch (const core::ResourceError& error) {
    EXPECT_THAT(error.what(), HasSubstr("no-such-machine.invalid: no machine of this name"));
  }
}

}  // namespace
}  // namespace ddpm_eval::tensor
