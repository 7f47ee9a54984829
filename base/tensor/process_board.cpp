#include "base/tensor/process_board.h"

#include "base/core/text.h"

#include <algorithm>
#include <ctime>
#include <string_view>

namespace ddpm_eval::tensor {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kLook{500};  // between two signs, and two looks at those of the others
constexpr seconds kGrace{5};        // without a sign, where a connection has broken
constexpr seconds kUnheard{60};     // without a sign at any time
constexpr seconds kLinger{30};      // for a process that computes to see that another has failed
constexpr double kIdle = 0.02;      // of a processor: who uses less does nothing

constexpr const char* kFailed = "failed";      // "CODE MESSAGE" of the first failure
constexpr const char* kFailures = "failures";  // their number
constexpr const char* kLost = "lost";          // a connection has broken
// Of each rank:
constexpr const char* kSeen = "seen";    // it knows of the failure
constexpr const char* kWaits = "waits";  // at which wait it is
constexpr const char* kLeft = "left";    // it is done

/// Of our own texts.
int64_t number_in(std::string_view text) { return core::whole_number(text).value_or(0); }

/// Of a sign, "NUMBER MILLISECONDS": its number, and how much of processors has been used.
int64_t used_ms_in(const std::string& sign) {
  return number_in(std::string_view(sign).substr(sign.find(' ') + 1));
}

std::string unheard_text() {
  return fmt::format("has not been heard of for {} s: it is stopped, or its machine or the way there failed",
                     kUnheard.count());
}

int64_t used_ms() {
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<int64_t>(used.tv_sec) * 1000 + used.tv_nsec / 1'000'000;
}

}  // namespace

ProcessBoard::ProcessBoard(const core::LaunchedProcess& process, const GroupOptions& options)
    : process_(process), options_(options), meeting_(meet_at_store(process, options)) {
  give_sign(0);
  thread_ = std::thread([this] { give_signs(); });
  watch_ = std::thread([this] { watch_signs(); });
}

ProcessBoard::~ProcessBoard() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  stop_.notify_all();
  for (auto* thread : {&thread_, &watch_}) {
    if (thread->joinable()) {
      thread->join();
    }
  }
}

void ProcessBoard::wait(const std::function<bool(milliseconds)>& ends_within) {
  ++waits_;
  for (std::vector<Signs> signs;;) {
    try {
      if (ends_within(kLook)) {
        return;
      }
    } catch (const ConnectionBroken& error) {
      find_the_lost(error.what());
    }
    look_around(signs);
  }
}

/// What is found in the store, which is gone with the first process.
template <class Ask>
auto ProcessBoard::ask(const Ask& ask) {
  try {
    return ask();
  } catch (const core::Error&) {
    throw;
  } catch (const std::exception&) {
    throw_first_is_gone();
  }
}

/// What a process that waits sees of the others; `signs` are kept from one look to the next.
void ProcessBoard::look_around(std::vector<Signs>& signs) {
  std::vector<int> unheard, hanging;
  bool all_idle = false;
  ask([&] {
    throw_failure_if_told();
    if (store_.has(kLost)) {
      find_the_lost("a connection broke");
    }
    store_.set(kWaits, process_.rank, std::to_string(waits_));
    if (signs.empty()) {
      signs = look_at_all();
      return;
    }
    look_again(signs);
    const auto now = Clock::now();
    const auto of = [&](int rank) -> const Signs& { return signs[static_cast<size_t>(rank)]; };
    unheard = other_ranks(process_, [&](int rank) { return now - of(rank).changed > kUnheard; });
    const auto is_idle = [&](int rank) { return now - of(rank).moved > options_.patience; };
    hanging = other_ranks(process_, [&](int rank) { return is_idle(rank) && is_behind(rank); });
    all_idle =
        process_.count > 1 && static_cast<int>(other_ranks(process_, is_idle).size()) == process_.count - 1;
  });
  if (!unheard.empty()) {
    fail_of(unheard, unheard_text());
  }
  if (!hanging.empty()) {
    fail_of(hanging, fmt::format("hangs: the others wait for it, and it has done nothing for {} s",
                                 options_.patience.count()));
  }
  if (all_idle) {
    const auto text = fmt::format(
        "the processes wait for each other, and none has done anything for {} s: "
        "they are not at the same work",
        options_.patience.count());
    tell(core::ExitCode::kResources, text);
    throw PeerError(core::ExitCode::kResources, text);
  }
}

/// Whether it has not come to where this one waits.
bool ProcessBoard::is_behind(int rank) {
  return !store_.has(kWaits, rank) || number_in(store_.get(kWaits, rank)) < waits_;
}

std::vector<ProcessBoard::Signs> ProcessBoard::look_at_all() {
  std::vector<Signs> signs;
  const auto now = Clock::now();
  for (int rank = 0; rank < process_.count; ++rank) {
    const auto sign = store_.get(kSign, rank);
    signs.push_back({sign, now, used_ms_in(sign), now});
  }
  return signs;
}

void ProcessBoard::look_again(std::vector<Signs>& signs) {
  const auto now = Clock::now();
  for (const int rank : other_ranks(process_, [](int) { return true; })) {
    auto& known = signs[static_cast<size_t>(rank)];
    const auto sign = store_.get(kSign, rank);
    if (sign == known.last) {
      continue;
    }
    known.last = sign;
    known.changed = now;
    const double passed_ms = std::chrono::duration<double, std::milli>(now - known.moved).count();
    if (const int64_t used = used_ms_in(sign);
        static_cast<double>(used - known.used_ms) > kIdle * passed_ms) {
      known.used_ms = used;
      known.moved = now;
    }
  }
}

void ProcessBoard::find_the_lost(const std::string& reason) {
  const auto missing = ask([&] {
    store_.set(kLost, "1");
    auto signs = look_at_all();
    const auto begin = Clock::now();
    while (Clock::now() - begin < kGrace) {
      throw_failure_if_told();
      std::this_thread::sleep_for(milliseconds(100));
      look_again(signs);
    }
    return other_ranks(process_, [&](int rank) { return signs[static_cast<size_t>(rank)].changed <= begin; });
  });
  if (missing.empty()) {
    const auto text = fmt::format("the connection between two processes broke: {}", reason);
    tell(core::ExitCode::kResources, text);
    throw PeerError(core::ExitCode::kResources, text);
  }
  fail_of(missing,
          "is gone: it was killed, perhaps for want of memory, or its machine or the way there failed");
}

void ProcessBoard::fail_of(const std::vector<int>& ranks, const std::string& what) {
  std::string text;
  for (const int rank : ranks) {
    text += (text.empty() ? "" : ", ") + store_.name_of(rank);
  }
  text += " " + what;
  tell(core::ExitCode::kResources, text, ranks);
  throw PeerError(core::ExitCode::kResources, text);
}

/// The thread that computes knows that this ends, and needs not be ended.
void ProcessBoard::heed() {
  const std::lock_guard lock(mutex_);
  heeded_ = true;
}

void ProcessBoard::throw_first_is_gone() {
  heed();
  std::optional<std::string> failure;
  {
    const std::lock_guard lock(mutex_);
    failure = failure_;
  }
  if (failure) {  // of which it has told before it went
    throw_failure(*failure);
  }
  throw PeerError(core::ExitCode::kResources,
                  fmt::format("rank 0 on {} is gone, and with it what the processes know of each other",
                              process_.address),
                  PeerError::First::kGone);
}

void ProcessBoard::throw_failure_if_told() {
  if (store_.has(kFailed)) {
    throw_failure(store_.get(kFailed));
  }
}

/// Of "CODE MESSAGE".
void ProcessBoard::throw_failure(const std::string& text) {
  heed();
  const auto space = text.find(' ');
  throw PeerError(static_cast<core::ExitCode>(number_in(text.substr(0, space))), text.substr(space + 1));
}

bool ProcessBoard::tell_failure(core::ExitCode code, const std::string& message) {
  return tell(code, store_.name_of(process_.rank) + ": " + message);
}

/// Those who are `gone` will not hear of it.
bool ProcessBoard::tell(core::ExitCode code, const std::string& text, const std::vector<int>& gone) {
  heed();
  try {
    if (store_.count(kFailures) == 1) {
      store_.set(kFailed, fmt::format("{} {}", static_cast<int>(code), text));
    }
    store_.set(kSeen, process_.rank, "1");
    if (process_.rank == 0) {  // with it the store goes
      const auto is_unaware = [&](int rank) {
        return std::ranges::find(gone, rank) == gone.end() && !store_.has(kSeen, rank);
      };
      for (const auto end = Clock::now() + kGrace;
           Clock::now() < end && !other_ranks(process_, is_unaware).empty();) {
        std::this_thread::sleep_for(milliseconds(20));
      }
    }
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

void ProcessBoard::leave() {
  try {
    store_.set(kLeft, process_.rank, "1");
    if (process_.rank != 0) {
      return;
    }
    // Those who have gone, or failed, after the work was done are not waited for: nothing of it is lost.
    auto signs = look_at_all();
    const auto is_busy = [&](int rank) {
      const auto& of = signs[static_cast<size_t>(rank)];
      const auto now = Clock::now();
      return !store_.has(kLeft, rank) && now - of.changed < kGrace && now - of.moved < options_.patience;
    };
    while (!store_.has(kFailed) && !other_ranks(process_, is_busy).empty()) {
      std::this_thread::sleep_for(milliseconds(20));
      look_again(signs);
    }
  } catch (const std::exception&) {
    return;  // there is nobody left to wait for
  }
}

void ProcessBoard::give_signs() {
  int64_t number = 0;
  for (std::unique_lock lock(mutex_); !stop_.wait_for(lock, kLook, [&] { return stopped_; });) {
    sign_begun_ = Clock::now();
    lock.unlock();
    try {
      give_sign(++number);
    } catch (const PeerError& error) {
      if (options_.give_up) {
        options_.give_up(error);
      }
    }
    lock.lock();
    sign_begun_.reset();
  }
}

/// A first process that is stopped, or whose machine has gone without a word, leaves whoever asks its store
/// waiting.
void ProcessBoard::watch_signs() {
  std::optional<Clock::time_point> seen;
  int looks = 0;  // at one sign: a clock goes on while all processes are stopped
  for (std::unique_lock lock(mutex_); !stop_.wait_for(lock, kLook, [&] { return stopped_; });) {
    looks = sign_begun_ && sign_begun_ == seen ? looks + 1 : 0;
    seen = sign_begun_;
    if (looks * kLook > kUnheard && options_.give_up) {
      const auto text = fmt::format("rank 0 on {} {}", process_.address, unheard_text());
      lock.unlock();
      options_.give_up(PeerError(core::ExitCode::kResources, text, PeerError::First::kGone));
      return;
    }
  }
}

/// A process that computes for long does not see that another has failed: it is ended from here. The first
/// one has more time, as it may have something to save.
void ProcessBoard::give_sign(int64_t number) {
  try {
    signs_.set(kSign, process_.rank, fmt::format("{} {}", number, used_ms()));
    if (!signs_.has(kFailed)) {
      return;
    }
    const auto text = signs_.get(kFailed);
    signs_.set(kSeen, process_.rank, "1");
    const std::lock_guard lock(mutex_);
    failure_ = text;
  } catch (const std::exception&) {
    // The store is gone, of which the time begins here.
  }
  {
    const std::lock_guard lock(mutex_);
    failed_since_ = failed_since_.value_or(Clock::now());
    if (heeded_ || Clock::now() - *failed_since_ < (process_.rank == 0 ? options_.patience : kLinger)) {
      return;
    }
  }
  throw_first_is_gone();
}

}  // namespace ddpm_eval::tensor
