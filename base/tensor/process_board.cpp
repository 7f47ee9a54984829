#include "base/tensor/process_board.h"

#include "base/core/host_address.h"
#include "base/core/interrupt.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <ctime>

#include <c10/util/Exception.h>

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
// With a rank:
constexpr const char* kCame = "came/";    // how many have come as it
constexpr const char* kHost = "host/";    // where it runs
constexpr const char* kBuild = "build/";  // which program it is
constexpr const char* kSign =
    "sign/";  // "NUMBER MILLISECONDS": its last sign, and what it has used of processors
constexpr const char* kSeen = "seen/";    // it knows of the failure
constexpr const char* kWaits = "waits/";  // at which wait it is
constexpr const char* kLeft = "left/";    // it is done

std::string key(const char* kind, int rank) { return kind + std::to_string(rank); }

std::vector<uint8_t> bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

std::string text_of(const std::vector<uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }

int64_t number_in(std::string_view text) {
  int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

/// Of "NUMBER MILLISECONDS".
int64_t used_ms_in(const std::string& sign) {
  return number_in(std::string_view(sign).substr(sign.find(' ') + 1));
}

int64_t used_ms() {
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<int64_t>(used.tv_sec) * 1000 + used.tv_nsec / 1'000'000;
}

std::string address_for(const core::LaunchedProcess& process) {
  const char* given = std::getenv("DDPM_EVAL_ADDRESS");
  return given != nullptr && *given != '\0'
             ? given
             : core::own_address_towards(process.address, process.port, process.local_count != process.count);
}

c10::intrusive_ptr<c10d::Store> connect(const core::LaunchedProcess& process, seconds patience, bool serves) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(process.port);
  options.isServer = serves;
  options.waitWorkers = false;
  options.timeout = patience;
  return c10::make_intrusive<c10d::TCPStore>(process.address, options);
}

}  // namespace

std::string reason_of(const std::exception& error) {
  const auto* of_torch = dynamic_cast<const c10::Error*>(&error);
  const std::string text = of_torch != nullptr ? of_torch->what_without_backtrace() : error.what();
  return text.substr(0, text.find('\n'));
}

ProcessBoard::ProcessBoard(const core::LaunchedProcess& process, const GroupOptions& options)
    : process_(process), options_(options), own_address_(address_for(process)) {
  try {
    if (process.rank != 0) {
      await_store();
    }
    store_ = connect(process, options.patience, process.rank == 0);
    signs_ = connect(process, options.patience, false);
    meet();
  } catch (const core::Error&) {
    throw;
  } catch (const std::exception& error) {
    throw core::ResourceError("rank {} did not reach the other processes at {} port {}: {}", process.rank,
                              process.address, process.port, reason_of(error));
  }
  thread_ = std::thread([this] { give_signs(); });
}

/// By looks of our own: TCPStore's are a second apart, and hear of no interrupt.
void ProcessBoard::await_store() const {
  for (const auto end = Clock::now() + options_.patience;
       !core::is_served(process_.address, process_.port);) {
    if (Clock::now() > end) {
      throw core::ResourceError("rank {}: nobody came to {} port {} within {} s, where rank 0 should be",
                                process_.rank, process_.address, process_.port, options_.patience.count());
    }
    refuse_interrupt();
    std::this_thread::sleep_for(milliseconds(20));
  }
}

void ProcessBoard::refuse_interrupt() {
  if (core::interrupt_requested()) {
    throw core::InterruptedError("interrupted before anything was done");
  }
}

void ProcessBoard::meet() {
  if (store_->add(key(kCame, process_.rank), 1) != 1) {
    throw core::ResourceError(
        "another rank {} has come to {} port {} already: two commands at once need different ports "
        "(MASTER_PORT)",
        process_.rank, process_.address, process_.port);
  }
  set(key(kBuild, process_.rank), options_.build);
  set(key(kSign, process_.rank), "0 0");
  set(key(kHost, process_.rank), core::host_name() + " (" + own_address_ + ")");
  const auto end = Clock::now() + options_.patience;
  const auto is_missing = [&](int rank) { return !has(key(kHost, rank)); };
  for (auto missing = others(is_missing); !missing.empty(); missing = others(is_missing)) {
    if (Clock::now() > end) {
      throw core::ResourceError(
          "{} of {} processes of this command came to {} port {} within {} s; rank {} did not",
          process_.count - static_cast<int>(missing.size()), process_.count, process_.address, process_.port,
          options_.patience.count(), missing.front());
    }
    refuse_interrupt();
    std::this_thread::sleep_for(milliseconds(20));
  }
  const auto strangers = others([&](int rank) { return get(key(kBuild, rank)) != options_.build; });
  if (!strangers.empty()) {
    throw core::UsageError("{} runs another version of the program, {}, than rank {}, {}",
                           name_of(strangers.front()), get(key(kBuild, strangers.front())), process_.rank,
                           options_.build);
  }
}

ProcessBoard::~ProcessBoard() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  stop_.notify_all();
  if (thread_.joinable()) {
    thread_.join();
  }
}

void ProcessBoard::wait(const std::function<c10::intrusive_ptr<c10d::Work>()>& start) {
  ++waits_;
  c10::intrusive_ptr<c10d::Work> work;
  try {
    work = start();
  } catch (const std::exception& error) {
    find_the_lost(reason_of(error));
  }
  for (std::vector<Signs> signs;;) {
    try {
      work->wait(kLook);
      return;
    } catch (const std::exception& error) {  // of the work, or that it takes longer
      if (work->isCompleted() && work->isSuccess()) {
        return;
      }
      if (work->isCompleted()) {
        find_the_lost(reason_of(error));
      }
    }
    look_around(signs);
  }
}

/// What a process that waits sees of the others; `signs` are kept from one look to the next.
void ProcessBoard::look_around(std::vector<Signs>& signs) {
  std::vector<int> unheard, hanging;
  try {
    if (has(kFailed)) {
      throw_failure(get(kFailed));
    }
    if (has(kLost)) {
      find_the_lost("a connection broke");
    }
    set(key(kWaits, process_.rank), std::to_string(waits_));
    if (signs.empty()) {
      signs = look_at_all();
      return;
    }
    look_again(signs);
    const auto now = Clock::now();
    const auto of = [&](int rank) -> const Signs& { return signs[static_cast<size_t>(rank)]; };
    unheard = others([&](int rank) { return now - of(rank).changed > kUnheard; });
    hanging = others([&](int rank) { return now - of(rank).moved > options_.patience && is_behind(rank); });
  } catch (const core::Error&) {
    throw;
  } catch (const std::exception&) {
    throw_first_is_gone();
  }
  if (!unheard.empty()) {
    fail_of(
        unheard,
        fmt::format("has not been heard of for {} s: it is stopped, or its machine or the way there failed",
                    kUnheard.count()));
  }
  if (!hanging.empty()) {
    fail_of(hanging, fmt::format("hangs: the others wait for it, and it has done nothing for {} s",
                                 options_.patience.count()));
  }
}

/// Whether it has not come to where this one waits.
bool ProcessBoard::is_behind(int rank) {
  const auto name = key(kWaits, rank);
  return !has(name) || number_in(get(name)) < waits_;
}

std::vector<ProcessBoard::Signs> ProcessBoard::look_at_all() {
  std::vector<Signs> signs;
  const auto now = Clock::now();
  for (int rank = 0; rank < process_.count; ++rank) {
    const auto sign = get(key(kSign, rank));
    signs.push_back({sign, now, used_ms_in(sign), now});
  }
  return signs;
}

void ProcessBoard::look_again(std::vector<Signs>& signs) {
  const auto now = Clock::now();
  for (const int rank : others([](int) { return true; })) {
    auto& known = signs[static_cast<size_t>(rank)];
    const auto sign = get(key(kSign, rank));
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
  std::vector<int> missing;
  try {
    set(kLost, "1");
    auto signs = look_at_all();
    const auto begin = Clock::now();
    while (Clock::now() - begin < kGrace) {
      if (has(kFailed)) {
        throw_failure(get(kFailed));
      }
      std::this_thread::sleep_for(milliseconds(100));
      look_again(signs);
    }
    missing = others([&](int rank) { return signs[static_cast<size_t>(rank)].changed <= begin; });
  } catch (const core::Error&) {
    throw;
  } catch (const std::exception&) {
    throw_first_is_gone();
  }
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
    text += (text.empty() ? "" : ", ") + name_of(rank);
  }
  text += " " + what;
  tell(core::ExitCode::kResources, text, ranks);
  throw PeerError(core::ExitCode::kResources, text);
}

void ProcessBoard::throw_first_is_gone() {
  std::optional<std::string> failure;
  {
    const std::lock_guard lock(mutex_);
    heeded_ = true;
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

/// Of "CODE MESSAGE".
void ProcessBoard::throw_failure(const std::string& text) {
  {
    const std::lock_guard lock(mutex_);
    heeded_ = true;
  }
  const auto space = text.find(' ');
  throw PeerError(static_cast<core::ExitCode>(number_in(text)), text.substr(space + 1));
}

bool ProcessBoard::tell_failure(core::ExitCode code, const std::string& message) {
  return tell(code, name_of(process_.rank) + ": " + message);
}

/// Those who are `gone` will not hear of it.
bool ProcessBoard::tell(core::ExitCode code, const std::string& text, const std::vector<int>& gone) {
  {
    const std::lock_guard lock(mutex_);
    heeded_ = true;
  }
  try {
    if (store_->add(kFailures, 1) == 1) {
      set(kFailed, fmt::format("{} {}", static_cast<int>(code), text));
    }
    set(key(kSeen, process_.rank), "1");
    if (process_.rank == 0) {  // with it the store goes
      const auto is_unaware = [&](int rank) {
        return std::ranges::find(gone, rank) == gone.end() && !has(key(kSeen, rank));
      };
      for (const auto end = Clock::now() + kGrace; Clock::now() < end && !others(is_unaware).empty();) {
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
    set(key(kLeft, process_.rank), "1");
    if (process_.rank != 0) {
      return;
    }
    // Those who have gone, or failed, after the work was done are not waited for: nothing of it is lost.
    auto signs = look_at_all();
    const auto is_busy = [&](int rank) {
      return !has(key(kLeft, rank)) && Clock::now() - signs[static_cast<size_t>(rank)].changed < kGrace;
    };
    while (!has(kFailed) && !others(is_busy).empty()) {
      std::this_thread::sleep_for(milliseconds(20));
      look_again(signs);
    }
  } catch (const std::exception&) {
    return;  // there is nobody left to wait for
  }
}

/// Ranks but this process' own.
std::vector<int> ProcessBoard::others(const std::function<bool(int)>& which) const {
  std::vector<int> ranks;
  for (int rank = 0; rank < process_.count; ++rank) {
    if (rank != process_.rank && which(rank)) {
      ranks.push_back(rank);
    }
  }
  return ranks;
}

std::string ProcessBoard::name_of(int rank) {
  try {
    return fmt::format("rank {} on {}", rank, get(key(kHost, rank)));
  } catch (const std::exception&) {
    return fmt::format("rank {}", rank);
  }
}

std::string ProcessBoard::get(const std::string& name) { return text_of(store_->get(name)); }

void ProcessBoard::set(const std::string& name, const std::string& value) {
  store_->set(name, bytes_of(value));
}

bool ProcessBoard::has(const std::string& name) { return store_->check({name}); }

void ProcessBoard::give_signs() {
  int64_t number = 0;
  for (std::unique_lock lock(mutex_); !stop_.wait_for(lock, kLook, [&] { return stopped_; });) {
    lock.unlock();
    try {
      give_sign(++number);
    } catch (const PeerError& error) {
      if (options_.give_up) {
        options_.give_up(error);
      }
    }
    lock.lock();
  }
}

/// A process that computes for long does not see that another has failed: it is ended from here. The first
/// one has more time, as it may have something to save.
void ProcessBoard::give_sign(int64_t number) {
  try {
    signs_->set(key(kSign, process_.rank), bytes_of(fmt::format("{} {}", number, used_ms())));
    if (!signs_->check({kFailed})) {
      return;
    }
    const auto text = text_of(signs_->get(kFailed));
    signs_->set(key(kSeen, process_.rank), bytes_of("1"));
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
