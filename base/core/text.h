#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ddpm_eval::core {

/// The candidate nearest to `word` by edit distance, if one is near enough to be a likely slip of the keys.
std::optional<std::string> nearest(std::string_view word, std::span<const std::string> candidates);

/// "; did you mean 'batch_size'?" or nothing.
std::string did_you_mean(std::string_view word, std::span<const std::string> candidates);

/// "10,000".
std::string grouped(int64_t number);

/// `text` for a terminal and for one line: control characters, which names of files may hold, as \n, \t or
/// \x1b. Whatever else is UTF-8 stays.
std::string printable(std::string_view text);

/// "a, b or c".
std::string join_or(std::span<const std::string> words);

}  // namespace ddpm_eval::core
