#pragma once

#include "base/core/error.h"
#include "base/core/launch.h"
#include "base/tensor/process_group.h"
#include "base/tensor/process_store.h"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace ddpm_eval::tensor {

/// Of what processes exchange tensors through.
class ConnectionBroken final : public std::runtime_error {
 public:
  using runtime_error::runtime_error;
};

/// Where processes that work together tell each other how they are, in a ProcessStore. A thread of each gives
/// signs of life, with the time of the processor that its process has used, so that who is gone and who hangs
/// are told from who is busy.
class ProcessBoard {
 public:
  /// Meets the others, as meet_processes().
  ProcessBoard(const core::LaunchedProcess& process, const GroupOptions& options);
  ~ProcessBoard();
  ProcessBoard(const ProcessBoard&) = delete;
  ProcessBoard& operator=(const ProcessBoard&) = delete;

  const c10::intrusive_ptr<c10d::Store>& store_of_backend() const { return meeting_.of_backend; }
  const std::string& own_address() const { return meeting_.own_address; }

  /// Returns once `ends_within`, which waits so long, is true. Throws what it throws, but PeerError in the
  /// place of a ConnectionBroken; and PeerError if another process has failed, is gone, or hangs.
  void wait(const std::function<bool(std::chrono::milliseconds)>& ends_within);

  /// Tells all that this process has failed. Whether the first one knows of a failure now, this or an earlier
  /// one.
  bool tell_failure(core::ExitCode code, const std::string& message);

  /// Waits, as the first process, until the others have called it or are gone.
  void leave();

 private:
  using Clock = std::chrono::steady_clock;

  /// What is known of another process.
  struct Signs {
    std::string last;           ///< sign of life
    Clock::time_point changed;  ///< when that one was first seen
    int64_t used_ms = 0;        ///< of the processor, at `moved`
    Clock::time_point moved;    ///< when it had last done something worth the name
  };

  bool tell(core::ExitCode code, const std::string& text, const std::vector<int>& gone = {});
  void throw_failure_if_told();
  [[noreturn]] void throw_failure(const std::string& text);
  [[noreturn]] void throw_first_is_gone();
  [[noreturn]] void fail_of(const std::vector<int>& ranks, const std::string& what);
  [[noreturn]] void find_the_lost(const std::string& reason);
  void look_around(std::vector<Signs>& signs);
  std::vector<Signs> look_at_all();
  void look_again(std::vector<Signs>& signs);
  bool is_behind(int rank);
  template <class Ask>
  auto ask(const Ask& ask);
  void heed();
  void give_signs();
  void watch_signs();
  void give_sign(int64_t number);

  core::LaunchedProcess process_;
  GroupOptions options_;
  Meeting meeting_;
  ProcessStore& store_ = meeting_.store;    ///< of the thread that computes
  ProcessStore& signs_ = meeting_.another;  ///< of the thread that gives signs
  int64_t waits_ = 0;                       ///< calls of wait()
  std::mutex mutex_;                        ///< of what follows
  std::condition_variable stop_;
  bool stopped_ = false;
  std::optional<std::string> failure_;             ///< of any process, as the store has it
  std::optional<Clock::time_point> failed_since_;  ///< of that, or of a store that is gone
  bool heeded_ = false;                            ///< the thread that computes knows of it
  std::optional<Clock::time_point> sign_begun_;    ///< when the one was begun that is being given
  std::thread thread_;
  std::thread watch_;
};

}  // namespace ddpm_eval::tensor
