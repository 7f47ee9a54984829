#pragma once

#include "base/core/error.h"
#include "base/core/launch.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

// The processes that run one command together, through LibTorch's c10d. All of them do the same in the same
// order, from the same files; of the work that is shared out each does its part, and gets the others'.
namespace ddpm_eval::tensor {

/// What another process has failed with, or that it is gone: the exit code of that, and its rank and host in
/// the message. All have been told.
class PeerError final : public core::Error {
 public:
  enum class First { kThere, kGone };

  PeerError(core::ExitCode code, const std::string& message, First first = First::kThere)
      : Error(code, message), first_(first) {}

  /// Whether the first process, which speaks for all, is not there to tell it.
  bool first_is_gone() const { return first_ == First::kGone; }

 private:
  First first_;
};

struct GroupOptions {
  /// How long processes wait for the others to come, and for one that lives and does nothing.
  std::chrono::seconds patience{600};
  std::string build = {};  ///< what all must be: the program's version
  /// Where networks compute. On cards NCCL takes what is exchanged from one to the other, in a build that has
  /// it; else Gloo does, through the CPU's memory.
  c10::Device device = c10::Device(c10::kCPU);
  /// Called from another thread where a failure has been known for half a minute and the thread that computes
  /// has not come to where it would see it, or where the first process has not answered for a minute;
  /// expected to end the process.
  std::function<void(const PeerError&)> give_up = {};
};

/// The part of this process; a process alone is the only one of a group. Its functions return at the same
/// point of all processes' work and must be called by all, in the same order, by one thread. They throw
/// PeerError if one of the others has failed, is lost or does not answer.
class ProcessGroup {
 public:
  virtual ~ProcessGroup() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  /// Whether this is the process that writes files and speaks.
  bool is_first() const { return rank() == 0; }

  /// What each process gives, by rank, on the CPU. Each gives [n, ...] with its own n, all of one dtype and
  /// the same other sides, or an undefined tensor, which comes back as one.
  virtual std::vector<at::Tensor> all_gather(const at::Tensor& mine) = 0;

  /// What all processes give to all_gather(), one after the other; undefined where nobody gives anything.
  at::Tensor gather_rows(const at::Tensor& mine);

  /// The first process' text, or number, on all.
  virtual std::string from_first(const std::string& text) = 0;
  int64_t number_from_first(int64_t number);

  /// Returns on all or on none: where it `fails`, has `tell` throw, and throws PeerError on the others.
  void fail_together(bool fails, const std::function<void()>& tell);

  /// fail_together() where this process has another text than the first one, the digest of a file for
  /// instance, with a DataError that names `what` it is of.
  void require_same(const std::string& what, const std::string& mine);

  /// Whether it is so on any process.
  virtual bool any(bool mine) = 0;

  /// Gives all processes the first one's values, in place.
  virtual void copy_from_first(at::Tensor& values) = 0;

  /// Begins to sum over all processes, beside what this process goes on with: `tensors` of one type, float32
  /// or float64, of the same shapes everywhere, and not to be touched until the function that it returns has
  /// put the sums in their places, of the same bits on all. Of several sums those are called in the order in
  /// which they were begun; each has a copy of its tensors until then. Another thread may begin it, while the
  /// one that calls everything else waits for that.
  virtual std::function<void()> begin_sum(const std::vector<at::Tensor>& tensors) = 0;

  /// Tells the others of a failure of this process, which ends them too: the first one said counts. Whether
  /// the first process knows of one now. Never throws PeerError, and needs nobody's call.
  virtual bool tell_failure(core::ExitCode code, const std::string& message) = 0;

  /// To be called last: the first process waits until the others are done with what it keeps for them.
  virtual void leave() = 0;
};

/// Of this process; alone until join_process_group(), and within an AloneScope.
ProcessGroup& process_group();

/// For what has come from another process and is not what it should be: they do not do the same. DataError.
[[noreturn]] void throw_out_of_step();

/// What one process does while the others wait for it: within it process_group() is a process alone.
class AloneScope {
 public:
  AloneScope() { ++depth_; }
  ~AloneScope() { --depth_; }
  AloneScope(const AloneScope&) = delete;
  AloneScope& operator=(const AloneScope&) = delete;

 private:
  friend ProcessGroup& process_group();
  static int depth_;
};

/// Whether processes whose networks compute there exchange tensors without the CPU's memory.
bool exchanges_on_cards(const c10::Device& device);

/// Throws UsageError where this build cannot have several processes work together that compute there.
void require_process_groups(int count, const c10::Device& device);

/// Meets the other processes; to be used by the thread that called. Throws ResourceError where they do not
/// all come, or the address cannot be reached or served; UsageError where one is of another build, and that
/// of require_process_groups(); InterruptedError. $DDPM_EVAL_ADDRESS names the address of this machine
/// to be reached at, $GLOO_SOCKET_IFNAME its interface; else it is the one on the way to the first process.
std::unique_ptr<ProcessGroup> meet_processes(const core::LaunchedProcess& process,
                                             const GroupOptions& options = {});

/// To be called once, before there is anything that can fail on one process alone: as meet_processes(), and
/// process_group() is that group then.
void join_process_group(const core::LaunchedProcess& process, const GroupOptions& options = {});

}  // namespace ddpm_eval::tensor
