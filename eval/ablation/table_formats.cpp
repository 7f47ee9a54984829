#include "eval/ablation/grid_table.h"
#include "eval/ablation/table_text.h"
#include "eval/markdown.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

using core::Json;

std::string replaced(std::string text, const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::string result;
  for (size_t at = 0; at < text.size();) {
    const auto found = std::ranges::find_if(
        pairs, [&](const auto& pair) { return text.compare(at, pair.first.size(), pair.first) == 0; });
    if (found == pairs.end()) {
      result += text[at++];
    } else {
      result += found->second;
      at += found->first.size();
    }
  }
  return result;
}

std::string latex(const std::string& text) {
  return replaced(text, {{"\\", "\\textbackslash{}"},
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
                         {"–", "--"},
                         {"↓", "$\\downarrow$"},
                         {"↑", "$\\uparrow$"},
                         {"<", "$<$"},
                         {"\n", " "}});
}

std::string csv(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) {
    return text;
  }
  return "\"" + replaced(text, {{"\"", "\"\""}}) + "\"";
}

std::string number_or_nothing(const Json& object, const char* key) {
  return core::has_number(object, key) ? fmt::format("{}", object.at(key).get<double>()) : std::string();
}

}  // namespace

std::string table_markdown(const Json& table) {
  const auto content = table_text(table);
  std::string text;
  if (const auto title = table.at("title").get<std::string>(); !title.empty()) {
    text += "# " + markdown_text(title) + "\n\n";
  }
  for (const auto& one : content.tables) {
    if (!one.caption.empty()) {
      text += "## " + markdown_text(one.caption) + "\n\n";
    }
    text += markdown_table(printed_rows(one)) + "\n";
  }
  for (const auto& line : content.remarks) {
    text += markdown_text(line) + "\n\n";
  }
  for (size_t i = 0; i < content.notes.size(); ++i) {
    text += fmt::format("[{}] {}\n\n", i + 1, markdown_text(content.notes[i]));
  }
  text.pop_back();
  return text;
}

std::string table_latex(const Json& table) {
  const auto content = table_text(table);
  std::string text = "% needs \\usepackage{booktabs}\n";
  for (const auto& one : content.tables) {
    text += "\\begin{table}\n\\centering\n";
    const auto title = table.at("title").get<std::string>();
    const auto caption = title + (title.empty() || one.caption.empty() ? "" : ": ") + one.caption;
    if (!caption.empty()) {
      text += "\\caption{" + latex(caption) + "}\n";
    }
    text += "\\begin{tabular}{l" + std::string(one.head.size() - 1, 'r') + "}\n\\toprule\n";
    const auto rows = printed_rows(one);
    for (size_t row = 0; row < rows.size(); ++row) {
      for (size_t column = 0; column < rows[row].size(); ++column) {
        text += (column == 0 ? "" : " & ") + latex(rows[row][column]);
      }
      text += row == 0 ? " \\\\\n\\midrule\n" : " \\\\\n";
    }
    text += "\\bottomrule\n\\end{tabular}\n\\end{table}\n\n";
  }
  for (const auto& line : content.remarks) {
    text += latex(line) + "\n\n";
  }
  for (size_t i = 0; i < content.notes.size(); ++i) {
    text += fmt::format("[{}] {}\n\n", i + 1, latex(content.notes[i]));
  }
  text.pop_back();
  return text;
}

std::string table_csv(const Json& table) {
  std::string text =
      "cell,row,column,metric,count,mean,sd,difference,difference_error,p,p_holm,significant,diverged,"
      "published,"
      "values\n";
  for (const auto& cell : table.at("cells")) {
    for (const auto& key : table.at("metrics")) {
      const auto metric = key.get<std::string>();
      const auto& result = cell.at("results").at(metric);
      const auto difference = result.contains("difference") ? result["difference"] : Json::object();
      std::string values;
      for (const auto& value : result.at("values")) {
        values += (&value == &result.at("values").front() ? "" : " ") +
                  (value.is_null() ? std::string("-") : fmt::format("{}", value.get<double>()));
      }
      const bool stated = difference.contains("stated") && difference["stated"].get<bool>();
      const auto significant =
          stated ? (difference["significant"].get<bool>() ? std::string("yes") : std::string("no"))
                 : std::string();
      const auto published = published_text(cell, metric);
      text += fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}\n", csv(cell.at("name")),
                          csv(cell.at("row")), csv(cell.at("column")), metric,
                          result.at("count").get<int64_t>(), number_or_nothing(result, "mean"),
                          number_or_nothing(result, "sd"), number_or_nothing(difference, "mean"),
                          number_or_nothing(difference, "error"), number_or_nothing(difference, "p"),
                          number_or_nothing(difference, "p_holm"), significant, cell.at("diverged").size(),
                          published == kDash ? std::string() : csv(published), values);
    }
  }
  return text;
}

}  // namespace ddpm_eval::eval
