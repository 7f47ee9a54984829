#include "eval/markdown.h"

#include "base/core/text.h"

#include <algorithm>
#include <cctype>

namespace ddpm_eval::eval {
namespace {

/// "&lt;", "&#60;".
bool begins_entity(const std::string& text, size_t at) {
  size_t end = at + 1;
  while (end < text.size() &&
         (text[end] == '#' || std::isalnum(static_cast<unsigned char>(text[end])) != 0)) {
    ++end;
  }
  return end > at + 1 && end < text.size() && text[end] == ';';
}

}  // namespace

std::string markdown_text(const std::string& text) {
  auto line = text;
  std::ranges::replace_if(
      line, [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
  line = core::printable(line);
  const auto is_word = [&](size_t at) {
    const auto c = at < line.size() ? static_cast<unsigned char>(line[at]) : ' ';
    return std::isalnum(c) != 0 || c >= 0x80;
  };
  std::string result;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    switch (c) {
      case '\\':
      case '|':
      case '*':
      case '`':
      case '~':
        result += '\\';
        result += c;
        break;
      case '_':  // within a word it is itself
        result += i > 0 && is_word(i - 1) && is_word(i + 1) ? "_" : "\\_";
        break;
      case ']':  // no link
        result += line.substr(i, 2) == "](" ? "\\]" : "]";
        break;
      case '<':
        result += "&lt;";
        break;
      case '&':
        result += begins_entity(line, i) ? "&amp;" : "&";
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
