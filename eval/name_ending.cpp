#include "eval/name_ending.h"

#include "base/core/error.h"
#include "base/core/text.h"

#include <algorithm>

namespace ddpm_eval::eval {

void require_ending(const char* flag, const std::filesystem::path& target,
                    const std::vector<std::string>& endings) {
  std::error_code error;
  const auto status = std::filesystem::status(target, error);
  const bool is_device = std::filesystem::exists(status) && !std::filesystem::is_regular_file(status) &&
                         !std::filesystem::is_directory(status);
  if (!is_device && std::ranges::find(endings, target.extension().string()) == endings.end()) {
    throw core::UsageError("{} {}: the name must end in {}", flag, target.string(), core::join_or(endings));
  }
}

}  // namespace ddpm_eval::eval
