#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ddpm_eval::core {

/// `text` with the letters A to Z small; other bytes stay.
std::string ascii_lower(std::string_view text);

/// The candidate nearest to `word` by edit distance, if one is near enough to be a likely slip of the keys.
std::optional<std::string> nearest(std::string_view word, std::span<const std::string> candidates);

/// "; did you mean 'batch_size'?" or nothing.
std::string did_you_mean(std::string_view word, std::span<const std::string> candidates);

/// The whole number that `text` is, nothing before or after it; none where it is no such number or beyond the
/// type.
std::optional<int64_t> whole_number(std::string_view text);

/// "10,000".
std::string grouped(int64_t number);

/// `text` for a terminal and for one line: control characters, which names of files may hold, and bytes that
/// are no UTF-8 as \n, \t or \x1b. The rest stays.
std::string printable(std::string_view text);

/// The start of a text of unknown length and content for a message: at most `most` bytes of it, in whole
/// characters and printable, with "..." if more follows.
std::string excerpt(std::string_view text, size_t most = 80);

/// "a, b or c".
std::string join_or(std::span<const std::string> words);

}  // namespace ddpm_eval::core
