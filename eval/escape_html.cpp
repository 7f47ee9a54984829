#include "eval/escape_html.h"

#include "base/core/text.h"

#include <algorithm>

namespace ddpm_eval::eval {
namespace {

std::string with_entities(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      case '\'':
        safe += "&#39;";
        break;
      default:
        safe += c;
    }
  }
  return safe;
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string safe;
  while (!text.empty()) {
    const size_t end = std::min(text.find_first_of("\n\t"), text.size());
    safe += with_entities(core::printable(text.substr(0, end)));
    if (end < text.size()) {
      safe += text[end];
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return safe;
}

}  // namespace ddpm_eval::eval
