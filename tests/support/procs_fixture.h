#pragma once

#include "base/core/error.h"
#include "base/tensor/process_group.h"
#include "tests/support/run_fixture.h"

#include <algorithm>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <signal.h>
#include <sys/types.h>
#include <unistd.h>

namespace ddpm_eval::testing {

/// The processes that `parent` has started, in the order of their numbers.
inline std::vector<pid_t> children_of(pid_t parent) {
  std::ifstream file("/proc/" + std::to_string(parent) + "/task/" + std::to_string(parent) + "/children");
  std::vector<pid_t> children;
  for (pid_t child = 0; file >> child;) {
    children.push_back(child);
  }
  std::ranges::sort(children);
  return children;
}

/// Where processes of run_launched() meet.
inline int launched_port() { return 20'000 + ::getpid() % 9000; }

/// The program in a process for each call, with the variables of torchrun, on two addresses of the loopback
/// in turn: how each has ended. `options` says what else, or other, is asked for each rank.
inline std::vector<ProgramResult> run_launched(
    const std::vector<std::vector<std::string>>& arguments,
    const std::function<ProgramOptions(int rank)>& options = [](int) { return ProgramOptions(); }) {
  const auto count = static_cast<int>(arguments.size());
  std::vector<ProgramResult> results(arguments.size());
  std::vector<std::thread> threads;
  for (int rank = 0; rank < count; ++rank) {
    threads.emplace_back([&, rank] {
      auto own = options(rank);
      std::vector<std::string> variables = {"RANK=" + std::to_string(rank),
                                            "WORLD_SIZE=" + std::to_string(count),
                                            "LOCAL_RANK=" + std::to_string(rank / 2),
                                            "LOCAL_WORLD_SIZE=" + std::to_string((count + 1) / 2),
                                            "MASTER_ADDR=127.0.0.1",
                                            "MASTER_PORT=" + std::to_string(launched_port()),
                                            "DDPM_EVAL_ADDRESS=127.0.0." + std::to_string(1 + rank % 2)};
      variables.insert(variables.end(), own.environment.begin(), own.environment.end());
      own.environment = std::move(variables);
      results[static_cast<size_t>(rank)] = run_program(arguments[static_cast<size_t>(rank)], own);
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  return results;
}

/// The same with one call for all.
inline std::vector<ProgramResult> run_launched(
    int count, const std::vector<std::string>& arguments,
    const std::function<ProgramOptions(int rank)>& options = [](int) { return ProgramOptions(); }) {
  return run_launched(std::vector<std::vector<std::string>>(static_cast<size_t>(count), arguments), options);
}

/// Calls of the program on several processes.
class ProcsTest : public RunFixture {
 protected:
  void SetUp() override {
    try {
      tensor::require_process_groups(2, c10::Device(c10::kCPU));
    } catch (const core::UsageError& error) {
      GTEST_SKIP() << error.what();
    }
  }

  /// Runs until it is `when` and the process of that rank is there, which is killed then.
  static ProgramResult killed(const Arguments& arguments, size_t rank, const std::function<bool()>& when) {
    ProgramOptions options;
    options.interrupt_when = [&, sent = false](pid_t parent) mutable {
      const auto children = children_of(parent);
      if (!sent && children.size() > rank && when()) {
        sent = ::kill(children[rank], SIGKILL) == 0;
      }
      return false;
    };
    return run_program(arguments, options);
  }

  static Arguments joined(Arguments arguments, const Arguments& more) {
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
};

}  // namespace ddpm_eval::testing
