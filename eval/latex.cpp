#include "eval/latex.h"

#include "base/core/text.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace ddpm_eval::eval {
namespace {

/// " < > | are other glyphs in LaTeX's oldest font encoding, and two hyphens are a dash.
constexpr std::pair<std::string_view, std::string_view> kLatex[] = {{"\\", "\\textbackslash{}"},
                                                                    {"&", "\\&"},
                                                                    {"%", "\\%"},
                                                                    {"$", "\\$"},
                                                                    {"#", "\\#"},
                                                                    {"_", "\\_"},
                                                                    {"{", "\\{"},
                                                                    {"}", "\\}"},
                                                                    {"~", "\\textasciitilde{}"},
                                                                    {"^", "\\textasciicircum{}"},
                                                                    {"±", "$\\pm$"},
                                                                    {"×", "$\\times$"},
                                                                    {"∞", "$\\infty$"},
                                                                    {"→", "$\\to$"},
                                                                    {"↓", "$\\downarrow$"},
                                                                    {"↑", "$\\uparrow$"},
                                                                    {"–", "--"},
                                                                    {"--", "-{}-"},
                                                                    {"<", "$<$"},
                                                                    {">", "$>$"},
                                                                    {"|", "\\textbar{}"},
                                                                    {"\"", "''"}};

}  // namespace

std::string latex_text(const std::string& text) {
  auto line = text;
  std::ranges::replace_if(
      line, [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
  line = core::printable(line);
  std::string result;
  for (size_t at = 0; at < line.size();) {
    const auto rest = std::string_view(line).substr(at);
    const auto* found =
        std::ranges::find_if(kLatex, [&](const auto& one) { return rest.starts_with(one.first); });
    if (found == std::end(kLatex)) {
      result += line[at++];
    } else {
      result += found->second;
      at += found->first.size();
    }
  }
  return result;
}

std::string latex_tabular(const std::vector<std::vector<std::string>>& rows) {
  std::string text = "\\begin{tabular}{l" + std::string(rows.front().size() - 1, 'r') + "}\n\\toprule\n";
  for (size_t row = 0; row < rows.size(); ++row) {
    // [ and * would be read as arguments of the \\ before them.
    const bool is_argument = rows[row].front().starts_with('[') || rows[row].front().starts_with('*');
    text += is_argument ? "{}" : "";
    for (size_t column = 0; column < rows[row].size(); ++column) {
      text += (column == 0 ? "" : " & ") + latex_text(rows[row][column]);
    }
    text += row == 0 ? " \\\\\n\\midrule\n" : " \\\\\n";
  }
  return text + "\\bottomrule\n\\end{tabular}\n";
}

}  // namespace ddpm_eval::eval
