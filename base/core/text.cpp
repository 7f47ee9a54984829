#include "base/core/text.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include <fmt/format.h>

namespace ddpm_eval::core {
namespace {

size_t edit_distance(std::string_view from, std::string_view to) {
  std::vector<size_t> row(to.size() + 1);
  for (size_t j = 0; j <= to.size(); ++j) {
    row[j] = j;
  }
  for (size_t i = 1; i <= from.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= to.size(); ++j) {
      const size_t above = row[j];
      const size_t substitution = diagonal + (from[i - 1] == to[j - 1] ? 0 : 1);
      row[j] = std::min({above + 1, row[j - 1] + 1, substitution});
      diagonal = above;
    }
  }
  return row.back();
}

bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xc0U) == 0x80U; }

/// Bytes of the UTF-8 character that `text` begins with, or 0 if it begins with none.
size_t character_length(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const size_t length = lead < 0x80   ? 1
                        : lead < 0xc2 ? 0
                        : lead < 0xe0 ? 2
                        : lead < 0xf0 ? 3
                        : lead < 0xf5 ? 4
                                      : 0;
  if (length > text.size()) {
    return 0;
  }
  const auto rest = text.substr(std::min<size_t>(1, length), length < 2 ? 0 : length - 1);
  return std::all_of(rest.begin(), rest.end(), is_continuation) ? length : 0;
}

}  // namespace

std::string ascii_lower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  });
  return lower;
}

std::optional<std::string> nearest(std::string_view word, std::span<const std::string> candidates) {
  std::optional<std::string> best;
  size_t best_distance = std::max<size_t>(2, word.size() / 3) + 1;
  for (const auto& candidate : candidates) {
    const size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string did_you_mean(std::string_view word, std::span<const std::string> candidates) {
  const auto hint = nearest(word, candidates);
  return hint ? fmt::format("; did you mean '{}'?", *hint) : std::string();
}

std::optional<int64_t> whole_number(std::string_view text) {
  int64_t number = 0;
  const auto* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && stop == end ? std::optional(number) : std::nullopt;
}

std::string grouped(int64_t number) {
  std::string text = fmt::format("{}", number);
  const int first = number < 0 ? 1 : 0;
  for (int at = static_cast<int>(text.size()) - 3; at > first; at -= 3) {
    text.insert(static_cast<size_t>(at), 1, ',');
  }
  return text;
}

std::string printable(std::string_view text) {
  std::string safe;
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const size_t length = character_length(text.substr(i));
    if (byte == '\n') {
      safe += "\\n";
    } else if (byte == '\t') {
      safe += "\\t";
    } else if (length == 0 || byte < 0x20 || byte == 0x7f) {
      safe += fmt::format("\\x{:02x}", byte);
    } else if (byte == 0xc2 && static_cast<unsigned char>(text[i + 1]) < 0xa0) {  // U+0080 to U+009F
      safe += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[i + 1]));
    } else {
      safe += text.substr(i, length);
    }
    i += std::max<size_t>(length, 1);
  }
  return safe;
}

std::string excerpt(std::string_view text, size_t most) {
  size_t end = std::min(most, text.size());
  while (end > 0 && end < text.size() && is_continuation(text[end])) {
    --end;  // in the middle of a character
  }
  return printable(text.substr(0, end)) + (end < text.size() ? "..." : "");
}

std::string join_or(std::span<const std::string> words) {
  std::string joined;
  for (size_t i = 0; i < words.size(); ++i) {
    joined += i == 0 ? "" : i + 1 == words.size() ? " or " : ", ";
    joined += words[i];
  }
  return joined;
}

}  // namespace ddpm_eval::core
