#include "base/core/environment.h"

#include "base/core/text.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

namespace ddpm_eval::core {

bool is_switched_off(const char* name) {
  constexpr std::array<std::string_view, 4> kWords{"off", "0", "false", "no"};
  const char* word = std::getenv(name);
  return word != nullptr && std::ranges::find(kWords, ascii_lower(word)) != kWords.end();
}

}  // namespace ddpm_eval::core
