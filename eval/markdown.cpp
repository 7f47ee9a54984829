#include "eval/markdown.h"

namespace ddpm_eval::eval {

std::string markdown_text(const std::string& text) {
  std::string result;
  for (const char c : text) {
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
      case '\n':
      case '\r':
        result += ' ';
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
