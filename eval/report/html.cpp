#include "eval/report/html.h"

#include "base/core/base64.h"

#include <cctype>

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

std::string opening_tag(const char* tag, const Attributes& attributes) {
  std::string text = fmt::format("<{}", tag);
  for (const auto& [name, value] : attributes) {
    text += fmt::format(" {}=\"{}\"", name, escape_html(value));
  }
  return text + ">";
}

}  // namespace

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
