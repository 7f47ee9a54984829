#pragma once

#include "base/core/error.h"

namespace ddpm_eval::core {

/// A model's own numbers are not finite: a finding about the model, where a DataError is one about a file.
/// Exit code 3, too.
class NotFiniteError final : public Error {
 public:
  template <class... Args>
  explicit NotFiniteError(fmt::format_string<Args...> format, Args&&... args)
      : Error(ExitCode::kBadData, fmt::format(format, std::forward<Args>(args)...)) {}
};

}  // namespace ddpm_eval::core
