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

/// Computes make(0), make(1), ..., make(count - 1) on a few threads and hands the results out in order. At
/// most `ahead` results wait at any time. An exception of make(i) is rethrown where result i is due.
template <class Result>
class Prefetch {
 public:
  Prefetch(int64_t count, int threads, int64_t ahead, std::function<Result(int64_t)> make)
      : count_(count), ahead_(ahead), make_(std::move(make)) {
    for (int i = 0; i < threads; ++i) {
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
  };

  void work(const std::stop_token& stop) {
    while (true) {
      int64_t index = 0;
      {
        std::unique_lock lock(mutex_);
        const bool go_on =
            room_changed_.wait(lock, stop, [&] { return taken_ == count_ || taken_ < given_ + ahead_; });
        if (!go_on || taken_ == count_) {
          return;
        }
        index = taken_++;
      }
      Slot slot;
      try {
        slot.result = make_(index);
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

  const int64_t count_;
  const int64_t ahead_;
  const std::function<Result(int64_t)> make_;
  std::mutex mutex_;
  std::condition_variable ready_changed_;
  std::condition_variable_any room_changed_;
  std::map<int64_t, Slot> ready_;
  int64_t taken_ = 0;
  int64_t given_ = 0;
  std::vector<std::jthread> workers_;  // last: it ends before what it uses
};

}  // namespace ddpm_eval::data
