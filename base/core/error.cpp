#include "base/core/error.h"

namespace ddpm_eval::core::detail {

void check_failed(const char* condition, const char* file, int line, const std::string& message) {
  throw LogicError(fmt::format("{}:{}: {} does not hold: {}", file, line, condition, message));
}

}  // namespace ddpm_eval::core::detail
