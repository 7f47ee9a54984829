#include "base/core/error.h"

namespace ddpm_eval::core {
namespace {

std::string with_nuls_escaped(std::string text) {
  for (size_t at = 0; (at = text.find('\0', at)) != std::string::npos;) {
    text.replace(at, 1, "\\x00");
  }
  return text;
}

}  // namespace

Error::Error(ExitCode code, const std::string& message)
    : std::runtime_error(with_nuls_escaped(message)), code_(code) {}

void detail::check_failed(const char* condition, const char* file, int line, const std::string& message) {
  throw LogicError(fmt::format("{}:{}: {} does not hold: {}", file, line, condition, message));
}

}  // namespace ddpm_eval::core
