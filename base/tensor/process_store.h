#pragma once

#include "base/core/launch.h"
#include "base/tensor/process_group.h"

#include <cstdint>
#include <exception>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <torch/csrc/distributed/c10d/Store.hpp>

namespace ddpm_eval::tensor {

/// Of each rank: its last sign of life. It has given one when it has come.
inline constexpr const char* kSign = "sign";

/// The first line of what LibTorch throws, without its backtrace.
std::string reason_of(const std::exception& error);

/// Texts that processes leave for each other in a c10d::TCPStore, which lives in the first one; of some kinds
/// each rank has its own. To be used by one thread. Throws what LibTorch throws where it is gone.
class ProcessStore {
 public:
  explicit ProcessStore(c10::intrusive_ptr<c10d::Store> store) : store_(std::move(store)) {}

  const c10::intrusive_ptr<c10d::Store>& store() const { return store_; }

  bool has(const std::string& key) const { return store_->check({key}); }
  bool has(const char* kind, int rank) const { return has(key_of(kind, rank)); }
  /// Waits for what is not there yet.
  std::string get(const std::string& key) const;
  std::string get(const char* kind, int rank) const { return get(key_of(kind, rank)); }
  void set(const std::string& key, const std::string& text) const;
  void set(const char* kind, int rank, const std::string& text) const { set(key_of(kind, rank), text); }
  /// How many have called it with this key, this time included.
  int64_t count(const std::string& key) const { return store_->add(key, 1); }
  int64_t count(const char* kind, int rank) const { return count(key_of(kind, rank)); }

  /// "rank 2 on HOST (ADDRESS)", of one that has come.
  std::string name_of(int rank) const;

 private:
  static std::string key_of(const char* kind, int rank) { return kind + ("/" + std::to_string(rank)); }

  c10::intrusive_ptr<c10d::Store> store_;
};

/// Those of a command's ranks but the process' own, of which `which` is true.
std::vector<int> other_ranks(const core::LaunchedProcess& process, const std::function<bool(int)>& which);

/// What a process has that has met the others.
struct Meeting {
  std::string own_address;
  ProcessStore store;                          ///< of the thread that called
  ProcessStore another;                        ///< of another thread
  c10::intrusive_ptr<c10d::Store> of_backend;  ///< with keys of its own
};

/// As meet_processes().
Meeting meet_at_store(const core::LaunchedProcess& process, const GroupOptions& options);

}  // namespace ddpm_eval::tensor
