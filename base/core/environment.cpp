#include "base/core/environment.h"

#include "base/core/error.h"
#include "base/core/text.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

namespace ddpm_eval::core {

std::string environment_value(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

bool is_switched_off(const char* name) {
  constexpr std::array<std::string_view, 4> kOff{"off", "0", "false", "no"};
  constexpr std::array<std::string_view, 5> kOn{"", "on", "1", "true", "yes"};
  const auto value = environment_value(name);
  const auto word = ascii_lower(value);
  if (std::ranges::find(kOff, word) != kOff.end()) {
    return true;
  }
  if (std::ranges::find(kOn, word) == kOn.end()) {
    throw UsageError("{}={} in the environment: choose off, 0, false, no, on, 1, true or yes", name,
                     excerpt(value));
  }
  return false;
}

}  // namespace ddpm_eval::core
