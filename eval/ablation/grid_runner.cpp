#include "eval/ablation/grid_runner.h"

#include "base/core/error.h"
#include "base/core/interrupt.h"
#include "base/tensor/runtime.h"
#include "eval/ablation/grid_worker.h"
#include "eval/console.h"
#include "eval/failure.h"
#include "eval/own_program.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <set>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;

/// A worker process and the pipe that it tells its jobs through.
struct WorkerProcess {
  pid_t process = -1;
  int pipe = -1;
  std::string unread;             ///< the start of a line
  std::string job;                ///< "SEED CELL" of the one it is at
  std::optional<int> error_code;  ///< why it has ended early
  std::string error_message;
};

/// Nothing but system calls between fork and exec.
[[noreturn]] void become_worker(char* const* argv, int pipe, pid_t parent) {
  // A group of its own: Ctrl-C reaches it once, from its parent. If that is killed, it saves and stops.
  ::setpgid(0, 0);
  const int nothing = ::open("/dev/null", O_RDWR);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(pipe, STDOUT_FILENO);
  ::dup2(nothing, STDERR_FILENO);
  become_own_program(argv, parent);
  ::_exit(127);
}

class GridRunner {
 public:
  GridRunner(const GridFolder& folder, const GridParallelism& parallelism, const Session& session)
      : folder_(folder),
        jobs_(folder.jobs()),
        parallelism_(parallelism),
        device_(session.device),
        tf32_(session.tf32),
        display_(console_display("ablation", "jobs", session.quiet)) {}

  ~GridRunner() { stop(SIGTERM); }
  GridRunner(const GridRunner&) = delete;
  GridRunner& operator=(const GridRunner&) = delete;

  void run() {
    forget_failures();
    settled_ = count_settled(false);
    const int useful = std::min<int>(parallelism_.jobs, static_cast<int>(jobs_.size() - settled_.size()));
    for (int i = 0; i < useful; ++i) {
      start();
    }
    while (!workers_.empty()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      if (core::interrupt_requested() && !asked_to_stop_) {
        asked_to_stop_ = true;
        for (const auto& worker : workers_) {
          ::kill(worker.process, SIGTERM);  // SIGINT is ignored where a script put this into the background
        }
      }
      collect();
      show();
    }
    if (asked_to_stop_ && settled_.size() < jobs_.size()) {
      throw core::InterruptedError("interrupted after {} of {} jobs; the same command goes on",
                                   settled_.size(), jobs_.size());
    }
  }

 private:
  void forget_failures() const {
    for (const auto& job : jobs_) {
      std::error_code ignored;
      fs::remove(folder_.job_folder(job) / kFailureFile, ignored);
    }
  }

  void start() {
    std::vector<std::string> words = {"ddpm-eval",
                                      "ablate",
                                      "--out",
                                      folder_.path().string(),
                                      "--worker",
                                      "--threads",
                                      fmt::format("{}", parallelism_.threads),
                                      "--device",
                                      device_};
    if (tf32_) {
      words.push_back("--tf32");
    }
    std::vector<char*> argv;
    for (auto& word : words) {
      argv.push_back(word.data());
    }
    argv.push_back(nullptr);
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
      throw core::ResourceError("a worker cannot be started: {}", std::strerror(errno));
    }
    const pid_t self = ::getpid();
    const pid_t child = ::fork();
    if (child == 0) {
      become_worker(argv.data(), ends[1], self);
    }
    const int error = errno;
    ::close(ends[1]);
    if (child < 0) {
      ::close(ends[0]);
      throw core::ResourceError("a worker cannot be started: {}", std::strerror(error));
    }
    ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
    workers_.push_back(
        {.process = child, .pipe = ends[0], .unread = {}, .job = {}, .error_code = {}, .error_message = {}});
  }

  static void read_lines(WorkerProcess& worker) {
    char buffer[4096];
    for (ssize_t got = 0; (got = ::read(worker.pipe, buffer, sizeof buffer)) > 0;) {
      worker.unread.append(buffer, static_cast<size_t>(got));
    }
    for (size_t end = 0; (end = worker.unread.find('\n')) != std::string::npos;) {
      const auto line = worker.unread.substr(0, end);
      worker.unread.erase(0, end + 1);
      char* rest = nullptr;
      if (line.starts_with("job ")) {
        worker.job = line.substr(4);
      } else if (line.starts_with("error ")) {
        worker.error_code = static_cast<int>(std::strtol(line.c_str() + 6, &rest, 10));
        worker.error_message = *rest == ' ' ? rest + 1 : rest;
      }
    }
  }

  /// Lines, and workers that have ended.
  void collect() {
    std::vector<WorkerProcess> ended;
    std::vector<int> statuses;
    for (auto it = workers_.begin(); it != workers_.end();) {
      read_lines(*it);
      int status = 0;
      if (::waitpid(it->process, &status, WNOHANG) != it->process) {
        ++it;
        continue;
      }
      read_lines(*it);
      ::close(it->pipe);
      ended.push_back(std::move(*it));
      statuses.push_back(status);
      it = workers_.erase(it);
    }
    for (size_t i = 0; i < ended.size(); ++i) {
      settle_end(ended[i], statuses[i]);
    }
  }

  void settle_end(const WorkerProcess& worker, int status) {
    if (asked_to_stop_ || (WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
      return;
    }
    if (WIFEXITED(status)) {
      throw core::Error(
          static_cast<core::ExitCode>(worker.error_code.value_or(WEXITSTATUS(status))),
          worker.error_message.empty() ? "a worker ended without saying why" : worker.error_message);
    }
    const auto how = fmt::format("the worker was ended by signal {} ({})", WTERMSIG(status),
                                 ::strsignal(WTERMSIG(status)));
    // By its name: another machine may have changed the grid's list of cells before the worker read it.
    const auto found = std::find_if(jobs_.begin(), jobs_.end(), [&](const GridJob& one) {
      return worker.job == fmt::format("{} {}", one.seed, folder_.grid().cells[one.cell].name);
    });
    if (found == jobs_.end()) {
      throw core::ResourceError("{}{}", how,
                                worker.job.empty() ? " before it had begun a job"
                                                   : " at a job that this grid does not have: " + worker.job);
    }
    const auto& job = *found;
    const int attempts = ++killed_[worker.job];
    if (!folder_.record(job)) {
      display_.say(fmt::format("{}: {}{}", name_of(job), how,
                               attempts < kOutsideAttempts ? "; it is done once more" : ""));
      write_failure(folder_, job, {core::ExitCode::kResources, how}, attempts);
    }
    start();
  }

  std::string name_of(const GridJob& job) const {
    return fmt::format("{}, seed {}", folder_.grid().cells[job.cell].name, job.seed);
  }

  /// Indices of the settled jobs. With `tell` those that were not settled before are told.
  std::set<size_t> count_settled(bool tell) const {
    auto settled = settled_;
    for (size_t i = 0; i < jobs_.size(); ++i) {
      if (settled.contains(i) || !is_settled(folder_, jobs_[i])) {
        continue;
      }
      settled.insert(i);
      if (tell) {
        tell_end(jobs_[i]);
      }
    }
    return settled;
  }

  void tell_end(const GridJob& job) const {
    if (const auto* record = folder_.record(job)) {
      if (record->at("outcome") == "diverged") {
        display_.say(fmt::format("{}: diverged at step {}", name_of(job),
                                 record->at("divergence").at("first_step").get<int64_t>()));
      }
    } else if (const auto failure = folder_.failure(job)) {
      display_.say(fmt::format("{}: failed: {}", name_of(job), failure->value("message", "")));
    }
  }

  void show() {
    const auto now = std::chrono::steady_clock::now();
    if (now - shown_ < std::chrono::milliseconds(500) && !workers_.empty()) {
      return;
    }
    shown_ = now;
    settled_ = count_settled(true);
    display_.update(static_cast<int64_t>(settled_.size()), static_cast<int64_t>(jobs_.size()));
  }

  /// On the way out by an error: no worker is left behind.
  void stop(int signal) {
    for (const auto& worker : workers_) {
      ::kill(worker.process, signal);
    }
    for (const auto& worker : workers_) {
      int status = 0;
      while (::waitpid(worker.process, &status, 0) < 0 && errno == EINTR) {
      }
      ::close(worker.pipe);
    }
    workers_.clear();
  }

  const GridFolder& folder_;
  std::vector<GridJob> jobs_;
  GridParallelism parallelism_;
  std::string device_;  ///< of the workers
  bool tf32_;
  ProgressDisplay display_;
  std::vector<WorkerProcess> workers_;
  std::map<std::string, int> killed_;  ///< how often a job's worker was killed
  std::set<size_t> settled_;
  std::chrono::steady_clock::time_point shown_{};
  bool asked_to_stop_ = false;
};

}  // namespace

GridParallelism parallelism_of(const Grid& grid, int64_t jobs, int threads) {
  if (jobs < 0 || jobs > kMaxGridJobs) {
    throw core::UsageError("--jobs {}: expected a number from 0 (as many as fit) to {}", jobs, kMaxGridJobs);
  }
  if (jobs == 0 && !tensor::compute_device().is_cpu()) {
    jobs = 1;  // more would share the card
  }
  const int available = threads > 0 ? threads : tensor::available_processors();
  if (grid.threads > 0) {
    const int each = static_cast<int>(grid.threads);
    return {jobs > 0 ? static_cast<int>(jobs) : std::max(1, available / each), each};
  }
  const int together = jobs > 0 ? static_cast<int>(jobs) : 1;
  return {together, std::max(1, available / together)};
}

void run_grid(const GridFolder& folder, const GridParallelism& parallelism, const Session& session) {
  GridRunner(folder, parallelism, session).run();
}

}  // namespace ddpm_eval::eval
