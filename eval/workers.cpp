#include "eval/workers.h"

#include "base/core/build_info.h"
#include "base/core/environment.h"
#include "base/core/error.h"
#include "base/core/host_address.h"
#include "base/core/interrupt.h"
#include "base/core/text.h"
#include "base/tensor/process_group.h"
#include "base/tensor/runtime.h"
#include "eval/console.h"
#include "eval/own_program.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ddpm_eval::eval {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kMostWorkers = 1024;
constexpr const char* kPatience = "DDPM_EVAL_PATIENCE";
constexpr const char* kSupervised = "DDPM_EVAL_SUPERVISED";  // by run_workers(), which tells who was killed
constexpr int64_t kMostPatience = std::numeric_limits<int>::max();
constexpr const char* kLoopback = "127.0.0.1";
constexpr std::chrono::milliseconds kLook{20};
constexpr std::chrono::seconds kLinger{
    40};  // of processes after one has failed: they end by themselves in 30

std::chrono::seconds patience() {
  const auto text = core::environment_value(kPatience);
  if (text.empty()) {
    return tensor::GroupOptions().patience;
  }
  const auto seconds = core::whole_number(text);
  if (!seconds || *seconds < 1 || *seconds > kMostPatience) {
    throw core::UsageError("{}={}: expected a number of seconds, 1 or more", kPatience, text);
  }
  return std::chrono::seconds(*seconds);
}

/// The processes of run_workers().
class Workers {
 public:
  Workers(int count, char** argv) {
    const int port = core::free_local_port();
    for (int rank = 0; rank < count; ++rank) {
      start(rank, count, port, argv);
    }
  }

  /// The first one's exit code.
  int wait() {
    const auto most = patience() + kLinger;
    bool passed_on = false;
    while (running() > 0) {
      reap();
      if (core::interrupt_requested() && !passed_on) {
        passed_on = true;  // a second signal ends this process, and the kernel then them
        signal_all(SIGTERM);
      }
      // The first one may have something to save, unless it is stopped; without it the others have nothing to
      // do.
      const auto& first = workers_.front();
      const bool first_may_save = first.pid != 0 && !first.stopped;
      if (ends_since_ && Clock::now() - *ends_since_ > (first_may_save ? most : kLinger)) {
        killed_ = true;
        signal_all(SIGKILL);
      }
      std::this_thread::sleep_for(kLook);
    }
    // What the others end with after the first one has done its work is of no account.
    return workers_.front().code;
  }

 private:
  struct Worker {
    pid_t pid;             ///< 0: it has ended
    int code = 0;          ///< that of its end
    bool stopped = false;  ///< by a signal, and not continued since
  };

  void start(int rank, int count, int port, char** argv) {
    const pid_t parent = ::getpid();
    const pid_t child = ::fork();
    if (child < 0) {
      const int reason = errno;
      signal_all(SIGKILL);
      throw core::ResourceError("--procs {}: process {} cannot be started: {}", count, rank,
                                std::strerror(reason));
    }
    if (child == 0) {
      const auto set = [](const char* name, int value) { ::setenv(name, std::to_string(value).c_str(), 1); };
      set("RANK", rank);
      set("WORLD_SIZE", count);
      set("LOCAL_RANK", rank);
      set("LOCAL_WORLD_SIZE", count);
      set("MASTER_PORT", port);
      ::setenv("MASTER_ADDR", kLoopback, 1);
      ::setenv(kSupervised, "1", 1);
      become_own_program(argv, parent);
      ::_exit(static_cast<int>(core::ExitCode::kResources));
    }
    workers_.push_back({child});
  }

  size_t running() const {
    return static_cast<size_t>(
        std::ranges::count_if(workers_, [](const Worker& worker) { return worker.pid != 0; }));
  }

  void reap() {
    for (auto& worker : workers_) {
      int status = 0;
      if (worker.pid == 0 || ::waitpid(worker.pid, &status, WNOHANG | WUNTRACED | WCONTINUED) <= 0) {
        continue;
      }
      if (WIFSTOPPED(status) || WIFCONTINUED(status)) {
        worker.stopped = WIFSTOPPED(status);
        continue;
      }
      worker.pid = 0;
      worker.code = WIFEXITED(status) ? WEXITSTATUS(status) : static_cast<int>(core::ExitCode::kResources);
      const bool is_first = &worker == &workers_.front();
      if (is_first && WIFSIGNALED(status)) {  // of the others the first process tells
        print_error(end_of_first(WTERMSIG(status)));
      }
      if ((worker.code != 0 || is_first) && !ends_since_) {
        ends_since_ = Clock::now();
      }
    }
  }

  std::string end_of_first(int signal) const {
    if (!killed_) {
      return fmt::format("rank 0 was killed by signal {} ({}), perhaps for want of memory", signal,
                         ::strsignal(signal));
    }
    return workers_.front().stopped ? "rank 0 was stopped by a signal and did not go on after another "
                                      "process had ended, and was killed"
                                    : "rank 0 did not end after another process had failed, and was killed";
  }

  void signal_all(int number) const {
    for (const auto& worker : workers_) {
      if (worker.pid != 0) {
        ::kill(worker.pid, number);
      }
    }
  }

  std::vector<Worker> workers_;                  ///< by rank
  std::optional<Clock::time_point> ends_since_;  ///< when the first one had ended, or any had failed
  bool killed_ = false;                          ///< those left, from here
};

/// Whether the first process and run_workers() hear of an interrupt too, and say so.
bool is_supervised_follower() {
  return !core::environment_value(kSupervised).empty() && core::environment_value("RANK") != "0";
}

/// Whether a process tells the user of what another has ended with: the first one, or where it is gone any.
/// Of that run_workers() tells.
bool speaks(bool first, const tensor::PeerError& error) {
  return first || (error.first_is_gone() && core::environment_value(kSupervised).empty());
}

int own_rank = 0;  ///< of join_workers()
std::terminate_handler terminate_before = nullptr;

bool is_broken_connection(const std::system_error& error) {
  const auto& code = error.code();
  return code == std::errc::connection_reset || code == std::errc::connection_aborted ||
         code == std::errc::broken_pipe;
}

/// A thread of LibTorch's store throws where its connection is reset, and nobody could catch it.
[[noreturn]] void end_without_store() {
  try {
    if (const auto exception = std::current_exception()) {
      std::rethrow_exception(exception);
    }
  } catch (const std::system_error& error) {
    if (is_broken_connection(error)) {
      static std::atomic_flag told;
      if (told.test_and_set()) {  // each of its connections has a thread
        std::this_thread::sleep_for(kLinger);
      }
      if (!is_supervised_follower()) {
        print_error(fmt::format("the connection to rank 0 broke: {}", error.what()));
      }
      std::_Exit(static_cast<int>(core::ExitCode::kResources));
    }
    terminate_before();
  } catch (...) {
    terminate_before();
  }
  std::abort();
}

/// Threads and device that the session leaves open, for processes that share a machine.
void settle_share(const core::LaunchedProcess& process, Session& session) {
  const bool are_all = tensor::available_processors() >= ::sysconf(_SC_NPROCESSORS_ONLN);
  if (session.threads == 0 && (process.shares_processors || are_all)) {
    session.threads = std::max(1, tensor::available_processors() / process.local_count);
  }
  if (session.device == "cuda") {
    session.device += ":" + std::to_string(process.local_rank);
  }
}

/// Whoever is not the first process has nothing to say: what it would print is the same.
void fall_silent() {
  silence_console();
  const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (nowhere >= 0) {
    ::dup2(nowhere, STDOUT_FILENO);
    ::close(nowhere);
  }
}

}  // namespace

void take_share(Session& session) {
  if (!session.spread || session.procs == 1) {
    return;
  }
  if (const auto process = core::launched_ranks(core::environment_value)) {
    settle_share(*process, session);
    if (process->rank != 0) {
      fall_silent();
    }
  }
}

std::optional<core::LaunchedProcess> launched_for(const Session& session) {
  const int asked = session.procs.value_or(0);
  if (session.procs && (asked < 1 || asked > kMostWorkers)) {
    throw core::UsageError("--procs {}: expected a number from 1 to {}", asked, kMostWorkers);
  }
  if (asked > 1 && !session.shared) {
    throw core::UsageError("--procs {}: this command is the work of one process", asked);
  }
  if (asked == 1 || !session.shared) {
    return std::nullopt;
  }
  auto process = core::launched_process(core::environment_value);
  if (process && asked > 1 && asked != process->count) {
    throw core::UsageError("--procs {}: the environment tells of {} processes that were started together",
                           asked, process->count);
  }
  return process;
}

bool starts_workers(const Session& session, const std::optional<core::LaunchedProcess>& process) {
  return session.procs.value_or(1) > 1 && !process;
}

int run_workers(const Session& session, char** argv) {
  const int count = *session.procs;
  tensor::require_process_groups(count, tensor::device_named(session.device));
  patience();  // what is wrong with it is told once
  return Workers(count, argv).wait();
}

void join_workers(const core::LaunchedProcess& process, Session& session) {
  terminate_before = std::set_terminate(end_without_store);
  settle_share(process, session);
  own_rank = process.rank;
  tensor::GroupOptions options;
  options.patience = patience();
  options.build = std::string(core::build_info().commit);
  options.device = tensor::device_named(session.device);
  options.give_up = [first = process.rank == 0](const tensor::PeerError& error) {
    if (speaks(first, error)) {
      print_error(error.what());
    }
    std::_Exit(static_cast<int>(error.code()));
  };
  tensor::join_process_group(process, options);
  if (process.rank != 0) {
    fall_silent();
  }
}

bool is_spokesman(const std::exception_ptr& exception, const Failure& failure) {
  try {
    std::rethrow_exception(exception);
  } catch (const tensor::PeerError& error) {
    return speaks(own_rank == 0, error);
  } catch (...) {
    if (tensor::process_group().size() == 1) {  // alone, or the others have not been met
      return !core::interrupt_requested() || !is_supervised_follower();
    }
    const bool told = tensor::process_group().tell_failure(failure.code, failure.message);
    return own_rank == 0 || !told;
  }
}

}  // namespace ddpm_eval::eval
