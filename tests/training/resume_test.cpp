#include "base/core/interrupt.h"
#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"
#include "tests/training/toy_tasks.h"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

// Resume across real processes: this test binary runs itself, and the child trains, is killed or interrupted.
namespace ddpm_eval::training {
namespace {

using testing::checkpoint_bytes;
using testing::ConvTask;
using testing::log_without_timings;
using testing::TempDir;
using testing::toy_config;

constexpr const char* kFolder = "DDPM_EVAL_TEST_RESUME_FOLDER";
constexpr const char* kSteps = "DDPM_EVAL_TEST_RESUME_STEPS";
constexpr const char* kSignal = "DDPM_EVAL_TEST_RESUME_SIGNAL";
constexpr const char* kSignalAt = "DDPM_EVAL_TEST_RESUME_SIGNAL_AT";

/// What the child does. Not a test of its own: it needs its variables.
TEST(ResumeChild, DISABLED_Run) {
  const char* folder = std::getenv(kFolder);
  ASSERT_NE(folder, nullptr);
  const int signal = std::atoi(std::getenv(kSignal));
  const int64_t signal_at = std::atoll(std::getenv(kSignalAt));
  core::install_interrupt_handler();
  ConvTask task;
  LoopHooks hooks;
  hooks.on_step = [&](const TrainState& state, double) {
    if (state.step == signal_at) {
      ::kill(::getpid(), signal);
      while (!core::interrupt_requested()) {  // taken by another thread
        ::usleep(100);
      }
    }
  };
  int code = 0;
  try {
    testing::train(task, toy_config(std::atoll(std::getenv(kSteps))), folder, hooks);
  } catch (const core::Error& error) {
    code = static_cast<int>(error.code());
  }
  ::_exit(code);
}

struct Child {
  int64_t steps;
  int signal = 0;
  int64_t signal_at = -1;
};

/// Trains in a new process and returns its wait status.
int run_child(const std::filesystem::path& folder, const Child& child) {
  // Prepared before the fork: a child of a threaded process may not allocate.
  std::vector<std::string> variables{
      fmt::format("{}={}", kFolder, folder.string()), fmt::format("{}={}", kSteps, child.steps),
      fmt::format("{}={}", kSignal, child.signal), fmt::format("{}={}", kSignalAt, child.signal_at)};
  std::vector<char*> environment;
  for (auto& variable : variables) {
    environment.push_back(variable.data());
  }
  for (char** inherited = environ; *inherited != nullptr; ++inherited) {
    environment.push_back(*inherited);
  }
  environment.push_back(nullptr);
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  const char* arguments[] = {self.c_str(), "--gtest_filter=ResumeChild.DISABLED_Run",
                             "--gtest_also_run_disabled_tests", "--gtest_brief=1", nullptr};
  const pid_t process = ::fork();
  if (process == 0) {
    ::execve(self.c_str(), const_cast<char**>(arguments), environment.data());
    ::_exit(99);
  }
  EXPECT_GT(process, 0);
  int status = -1;
  EXPECT_EQ(::waitpid(process, &status, 0), process);
  return status;
}

int exit_code(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : -1; }

class Resume : public ::testing::Test {
 protected:
  static constexpr int64_t kAllSteps = 16;

  /// The reference: the same run in one go, in a process of its own.
  static void SetUpTestSuite() {
    unbroken_ = std::make_unique<TempDir>();
    ASSERT_EQ(exit_code(run_child(unbroken_->path(), {.steps = kAllSteps})), 0);
  }
  static void TearDownTestSuite() { unbroken_.reset(); }

  void expect_equal_to_unbroken() {
    EXPECT_EQ(checkpoint_bytes(folder_.path()), checkpoint_bytes(unbroken_->path()));
    EXPECT_EQ(log_without_timings(folder_.path()), log_without_timings(unbroken_->path()));
  }

  static std::unique_ptr<TempDir> unbroken_;
  TempDir folder_;
};

std::unique_ptr<TempDir> Resume::unbroken_;

TEST_F(Resume, TwiceNStepsAcrossTwoProcesses) {
  ASSERT_EQ(exit_code(run_child(folder_.path(), {.steps = 8})), 0);
  ASSERT_EQ(exit_code(run_child(folder_.path(), {.steps = kAllSteps})), 0);
  expect_equal_to_unbroken();
}

TEST_F(Resume, AfterKill) {
  // Before the first checkpoint, right after one, and two steps and a log line past one.
  for (const int64_t at : {3, 5, 12}) {
    const int status = run_child(folder_.path(), {.steps = kAllSteps, .signal = SIGKILL, .signal_at = at});
    ASSERT_TRUE(WIFSIGNALED(status));
    ASSERT_EQ(WTERMSIG(status), SIGKILL);
  }
  ASSERT_EQ(exit_code(run_child(folder_.path(), {.steps = kAllSteps})), 0);
  expect_equal_to_unbroken();
}

TEST_F(Resume, AfterCtrlC) {
  for (const auto& [signal, at] : {std::pair{SIGINT, 7}, std::pair{SIGTERM, 13}}) {
    ASSERT_EQ(exit_code(run_child(folder_.path(), {.steps = kAllSteps, .signal = signal, .signal_at = at})),
              130);
    EXPECT_EQ(load_model_weights(folder_.path()).step, at);
  }
  ASSERT_EQ(exit_code(run_child(folder_.path(), {.steps = kAllSteps})), 0);
  expect_equal_to_unbroken();
}

}  // namespace
}  // namespace ddpm_eval::training
