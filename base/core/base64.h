#pragma once

#include <span>
#include <string>

namespace ddpm_eval::core {

/// Standard base64 with padding and no line breaks (RFC 4648, section 4).
std::string base64(std::span<const char> bytes);

}  // namespace ddpm_eval::core
