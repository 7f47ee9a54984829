#include "eval/markdown.h"

#include "base/core/text.h"

#include <algorithm>

namespace ddpm_eval::eval {

std::string markdown_text(const std::string& text) {
  auto line = text;
  std::ranges::replace_if(
      line, [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
  std::string result;
  for (const char c : core::printable(line)) {
    switch (c) {
      case '\\':
      case '|':
      case '*':
        result += '\\';
        result += c;
        break;
      case '<':
        result += "&lt;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string markdown_table(const std::vector<std::vector<std::string>>& rows) {
  std::string text;
  for (size_t row = 0; row < rows.size(); ++row) {
    text += "|";
    for (const auto& cell : rows[row]) {
      text += " " + markdown_text(cell) + " |";
    }
    text += "\n";
    if (row == 0) {
      text += "|:--|";
      for (size_t column = 1; column < rows[0].size(); ++column) {
        text += "--:|";
      }
      text += "\n";
    }
  }
  return text;
}

}  // namespace ddpm_eval::eval
