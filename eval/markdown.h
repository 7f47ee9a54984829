#pragma once

#include <string>
#include <vector>

namespace ddpm_eval::eval {

/// `text` as it is, on one line, where Markdown (GitHub's) is read: in a cell of a table or a paragraph. Line
/// ends and tabs become spaces, other control characters escapes, as core::printable() has them.
std::string markdown_text(const std::string& text);

/// A table whose first row is the head; the first column is set left, the others right. All rows are as long
/// as the head, and their texts go through markdown_text().
std::string markdown_table(const std::vector<std::vector<std::string>>& rows);

}  // namespace ddpm_eval::eval
