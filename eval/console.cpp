#include "eval/console.h"

#include "base/core/error.h"
#include "base/core/interrupt.h"

#include <chrono>
#include <cstdio>
#include <memory>

#include <fmt/format.h>
#include <unistd.h>

namespace ddpm_eval::eval {
namespace {

using Clock = std::chrono::steady_clock;

bool silent = false;

/// Never throws: a closed terminal must not end a training.
void put(const std::string& text) { std::fputs(text.c_str(), stderr); }

void remark(const char* kind, const std::string& text) {
  if (!silent) {
    put(kind + core::printable(text) + "\n");
  }
}

/// One running display; what it draws depends on whether stderr is a terminal.
class Progress {
 public:
  Progress(std::string what, std::string unit) : what_(std::move(what)), unit_(std::move(unit)) {}

  ~Progress() {
    if (terminal_ && drawn_) {
      std::fputs("\n", stderr);
    }
  }

  void update(int64_t done, int64_t total) {
    const auto now = Clock::now();
    if (first_ < 0) {
      first_ = done;  // a resumed job must not count what an earlier run did into the rate
    }
    const bool finished = total > 0 && done >= total;
    const std::chrono::duration<double> since_last = now - last_;
    if (since_last.count() < (terminal_ ? 0.1 : 5.0) && !(finished && drawn_)) {
      return;
    }
    last_ = now;
    drawn_ = true;
    const double elapsed = std::chrono::duration<double>(now - start_).count();
    const double rate = elapsed > 0 ? static_cast<double>(done - first_) / elapsed : 0;
    std::string line = total > 0 ? fmt::format("{}: {}/{} {}", what_, done, total, unit_)
                                 : fmt::format("{}: {} {}", what_, done, unit_);
    if (rate > 0) {
      line += fmt::format(", {:.3g}/s", rate);
      if (total > done) {
        line += fmt::format(", {} left", duration_text(static_cast<double>(total - done) / rate));
      }
    }
    if (terminal_) {
      constexpr int64_t kWidth = 24;
      const int64_t filled = total > 0 ? kWidth * done / total : 0;
      std::string bar;
      for (int64_t i = 0; total > 0 && i < kWidth; ++i) {
        bar += i < filled ? '#' : '.';
      }
      put(fmt::format("\r\033[K{}{}{}", bar, bar.empty() ? "" : " ", line));
    } else {
      put(line + "\n");
    }
    std::fflush(stderr);
  }

  void say(const std::string& text) {
    put((terminal_ ? "\r\033[K" : "") + core::printable(text) + "\n");
    last_ = terminal_ ? Clock::time_point() : Clock::now();  // a terminal's bar is drawn anew at once
  }

 private:
  std::string what_;
  std::string unit_;
  bool terminal_ = ::isatty(STDERR_FILENO) == 1;
  bool drawn_ = false;
  int64_t first_ = -1;
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_ = start_;
};

}  // namespace

bool EveryFewSeconds::operator()() {
  const auto now = Clock::now();
  if (next_ && now < *next_) {
    return false;
  }
  next_ = now + std::chrono::seconds(5);
  return true;
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  if (whole >= 3600) {
    return fmt::format("{}h{:02}m", whole / 3600, whole / 60 % 60);
  }
  return whole >= 60 ? fmt::format("{}m{:02}s", whole / 60, whole % 60) : fmt::format("{}s", whole);
}

ProgressDisplay console_display(const std::string& what, const std::string& unit, bool quiet) {
  if (quiet || silent) {
    return {[](int64_t, int64_t) {}, [](const std::string&) {}};
  }
  auto progress = std::make_shared<Progress>(core::printable(what), unit);
  return {[progress](int64_t done, int64_t total) { progress->update(done, total); },
          [progress](const std::string& line) { progress->say(line); }};
}

ProgressFn console_progress(const std::string& what, const std::string& unit, bool quiet) {
  return console_display(what, unit, quiet).update;
}

ProgressFn watched_progress(const std::string& what, const std::string& unit, bool quiet) {
  return [what, show = console_progress(what, unit, quiet)](int64_t done, int64_t total) {
    if (core::interrupt_requested()) {
      throw core::InterruptedError("interrupted while computing the {}; the same command begins anew", what);
    }
    show(done, total);
  };
}

void silence_console() { silent = true; }

void print_note(const std::string& text) { remark("note: ", text); }

void print_warning(const std::string& text) { remark("warning: ", text); }

void print_error(const std::string& text) { put("ddpm-eval: error: " + core::printable(text) + "\n"); }

}  // namespace ddpm_eval::eval
