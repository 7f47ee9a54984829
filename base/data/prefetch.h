#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

namespace ddpm_eval::data {

struct PrefetchLimits {
  int threads = 1;
  int64_t ahead = 1;               ///< results that may wait
  int64_t held_bytes = INT64_MAX;  ///< of what is being made or waits, as make() announces it
};

/// Computes make(0), make(1), ..., make(count - 1) on a few threads and hands the results out in order. An
/// exception of make(i) is rethrown where result i is due.
///
/// make() is handed a function to announce a result's bytes with before it takes the memory. It waits there
/// until these fit within `held_bytes` or the result is the next one due, which always goes through: at no
/// time is more held than the limit and one result.
template <class Result>
class Prefetch {
 public:
  using Announce = std::function<void(int64_t bytes)>;
  using Make = std::function<Result(int64_t index, const Announce& announce)>;

  Prefetch(int64_t count, const PrefetchLimits& limits, Make make)
      : count_(count), limits_(limits), make_(std::move(make)) {
    for (int i = 0; i < limits_.threads; ++i) {
      workers_.emplace_back([this](const std::stop_token& stop) { work(stop); });
    }
  }

  ~Prefetch() {
    for (auto& worker : workers_) {
      worker.request_stop();
    }
  }
  Prefetch(const Prefetch&) = delete;
  Prefetch& operator=(const Prefetch&) = delete;

  bool drained() const { return given_ == count_; }

  /// The next result; call only while not drained().
  Result next() {
    std::unique_lock lock(mutex_);
    ready_changed_.wait(lock, [&] { return ready_.contains(given_); });
    Slot slot = std::move(ready_.extract(given_).mapped());
    ++given_;
    held_bytes_ -= slot.bytes;
    lock.unlock();
    room_changed_.notify_all();
    if (slot.error) {
      std::rethrow_exception(slot.error);
    }
    return std::move(slot.result);
  }

 private:
  struct Slot {
    Result result{};
    std::exception_ptr error;
    int64_t bytes = 0;
  };
  struct Stopped {};

  void work(const std::stop_token& stop) {
    while (true) {
      int64_t index = 0;
      {
        std::unique_lock lock(mutex_);
        const bool go_on = room_changed_.wait(
            lock, stop, [&] { return taken_ == count_ || taken_ < given_ + limits_.ahead; });
        if (!go_on || taken_ == count_) {
          return;
        }
        index = taken_++;
      }
      Slot slot;
      try {
        slot.result = make_(index, [&](int64_t bytes) {
          admit(index, bytes, stop);
          slot.bytes += bytes;
        });
      } catch (...) {
        slot.error = std::current_exception();
      }
      {
        const std::lock_guard lock(mutex_);
        ready_.emplace(index, std::move(slot));
      }
      ready_changed_.notify_one();
    }
  }

  /// Waits until `bytes` may be taken for result `index`.
  void admit(int64_t index, int64_t bytes, const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    if (!room_changed_.wait(lock, stop,
                            [&] { return index == given_ || held_bytes_ <= limits_.held_bytes - bytes; })) {
      throw Stopped();  // nobody waits for this result any more
    }
    held_bytes_ += bytes;
  }

  const int64_t count_;
  const PrefetchLimits limits_;
  const Make make_;
  std::mutex mutex_;
  std::condition_variable ready_changed_;
  std::condition_variable_any room_changed_;
  std::map<int64_t, Slot> ready_;
  int64_t taken_ = 0;
  int64_t given_ = 0;
  int64_t held_bytes_ = 0;
  std::vector<std::jthread> workers_;  // last: it ends before what it uses
};

}  // namespace ddpm_eval::data
