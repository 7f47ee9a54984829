#pragma once

#include <string_view>

namespace ddpm_eval::core {

/// What this binary was built from. Every record carries it.
struct BuildInfo {
  std::string_view version;     ///< semantic version, "0.1.0"
  std::string_view commit;      ///< `git describe --always --dirty`, or "unknown" outside a checkout
  std::string_view build_type;  ///< "release", "debug", "relwithdebinfo"
  std::string_view compiler;    ///< "GNU 12.2.0"
};

BuildInfo build_info();

}  // namespace ddpm_eval::core
