#include "eval/report/html.h"

#include "base/core/base64.h"
#include "base/core/text.h"

#include <cctype>

#include <fmt/format.h>

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

std::string opening_tag(const char* tag, const Attributes& attributes) {
  std::string text = fmt::format("<{}", tag);
  for (const auto& [name, value] : attributes) {
    text += fmt::format(" {}=\"{}\"", name, escape_html(value));
  }
  return text + ">";
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

Html Html::trusted(std::string markup) {
  Html piece;
  piece.markup_ = std::move(markup);
  return piece;
}

Html element_of(const char* tag, const Attributes& attributes, const Html& content) {
  return Html::trusted(opening_tag(tag, attributes) + content.markup() + fmt::format("</{}>\n", tag));
}

Html void_element(const char* tag, const Attributes& attributes) {
  return Html::trusted(opening_tag(tag, attributes));
}

std::string url_of_path(std::string_view path) {
  std::string url;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = byte < 0x80 && (std::isalnum(byte) != 0 ||
                                       std::string_view("/._-~").find(c) != std::string_view::npos);
    url += plain ? std::string(1, c) : fmt::format("%{:02X}", byte);
  }
  return url;
}

std::string data_url(const char* type, const std::vector<char>& bytes) {
  return fmt::format("data:{};base64,{}", type, core::base64(bytes));
}

}  // namespace ddpm_eval::eval
