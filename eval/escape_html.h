#pragma once

#include <string>
#include <string_view>

namespace ddpm_eval::eval {

/// Text made safe for HTML content and attribute values. Control characters and bytes that are no UTF-8
/// become escapes that are shown; the ends of lines and tabs stay.
std::string escape_html(std::string_view text);

}  // namespace ddpm_eval::eval
