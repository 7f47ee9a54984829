#pragma once

#include "base/core/text.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

namespace ddpm_eval::eval {

/// done of total; total 0 means unknown.
using ProgressFn = std::function<void(int64_t done, int64_t total)>;

/// Progress on stderr: a bar with rate and time left on a terminal, plain lines every few seconds elsewhere;
/// nothing at all if `quiet`. `what` is the verb phrase shown ("scoring real"), `unit` the thing counted
/// ("images").
ProgressFn console_progress(const std::string& what, const std::string& unit, bool quiet);

/// As console_progress(), of work that an interrupt ends: throws InterruptedError naming `what`, a noun.
ProgressFn watched_progress(const std::string& what, const std::string& unit, bool quiet);

/// Progress that can say more: lines of their own above the bar.
struct ProgressDisplay {
  ProgressFn update;
  /// Shows `line`. Elsewhere than on a terminal it takes the place of the plain line that would follow.
  std::function<void(const std::string& line)> say;
};

/// As console_progress().
ProgressDisplay console_display(const std::string& what, const std::string& unit, bool quiet);

/// True at the first call, and then at the first one after every five seconds: for lines that come too fast.
class EveryFewSeconds {
 public:
  bool operator()();

 private:
  std::optional<std::chrono::steady_clock::time_point> next_;
};

/// 90061 s -> "25h01m", 150 s -> "2m30s".
std::string duration_text(double seconds);

/// One line on stderr, as core::printable() has it: "note: ...", "warning: ..." or "ddpm-eval: error: ...".
void print_note(const std::string& text);
void print_warning(const std::string& text);
void print_error(const std::string& text);

/// From now on nothing is shown but errors.
void silence_console();

/// One line on stdout, as core::printable() has it.
template <class... Args>
void print_line(fmt::format_string<Args...> format, Args&&... args) {
  fmt::print("{}\n", core::printable(fmt::format(format, std::forward<Args>(args)...)));
}

}  // namespace ddpm_eval::eval
