#pragma once

#include <unistd.h>

namespace ddpm_eval::eval {

/// Between fork and exec: this program once more, which is asked to stop (SIGTERM) when `parent` ends.
/// Returns where that cannot be.
void become_own_program(char* const* argv, pid_t parent);

}  // namespace ddpm_eval::eval
