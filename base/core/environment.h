#pragma once

#include <string>

namespace ddpm_eval::core {

/// The environment variable `name`; empty where it is not set.
std::string environment_value(const char* name);

/// Whether the environment variable `name` is off, 0, false or no, in any case; it may also be empty, missing
/// or on, 1, true or yes. Throws UsageError for other words.
bool is_switched_off(const char* name);

}  // namespace ddpm_eval::core
