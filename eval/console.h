#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace ddpm_eval::eval {

/// done of total; total 0 means unknown.
using ProgressFn = std::function<void(int64_t done, int64_t total)>;

/// Progress on stderr: a bar with rate and time left on a terminal, plain lines every few seconds elsewhere;
/// nothing at all if `quiet`. `what` is the verb phrase shown ("scoring real"), `unit` the thing counted
/// ("images").
ProgressFn console_progress(const std::string& what, const std::string& unit, bool quiet);

/// One line on stderr: "note: ..." or "warning: ...".
void print_note(const std::string& text);
void print_warning(const std::string& text);

}  // namespace ddpm_eval::eval
