#pragma once

#include <string>
#include <vector>

namespace ddpm_eval::eval {

/// `text` as LaTeX sets it, on one line, whatever font encoding it has: what means something to LaTeX
/// escaped, line ends and tabs as spaces, the signs of our tables (±, ×, ∞, arrows) as mathematics, other
/// control characters as core::printable() has them.
std::string latex_text(const std::string& text);

/// A tabular whose first row is the head, for booktabs; the first column is set left, the others right. All
/// rows are as long as the head, and their texts go through latex_text().
std::string latex_tabular(const std::vector<std::vector<std::string>>& rows);

}  // namespace ddpm_eval::eval
