#include "eval/ablation/grid_table.h"
#include "eval/ablation/table_text.h"
#include "eval/csv.h"
#include "eval/latex.h"
#include "eval/markdown.h"

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

using core::Json;

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
      text += "\\caption{" + latex_text(caption) + "}\n";
    }
    text += latex_tabular(printed_rows(one)) + "\\end{table}\n\n";
  }
  for (const auto& line : content.remarks) {
    text += latex_text(line) + "\n\n";
  }
  for (size_t i = 0; i < content.notes.size(); ++i) {
    text += fmt::format("[{}] {}\n\n", i + 1, latex_text(content.notes[i]));
  }
  text.pop_back();
  return text;
}

std::string table_csv(const Json& table) {
  auto text = csv_line({"cell", "row", "column", "metric", "count", "mean", "sd", "difference",
                        "difference_error", "p", "p_holm", "significant", "diverged", "published", "values"});
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
      text += csv_line({cell.at("name").get<std::string>(), cell.at("row").get<std::string>(),
                        cell.at("column").get<std::string>(), metric,
                        fmt::format("{}", result.at("count").get<int64_t>()),
                        number_or_nothing(result, "mean"), number_or_nothing(result, "sd"),
                        number_or_nothing(difference, "mean"), number_or_nothing(difference, "error"),
                        number_or_nothing(difference, "p"), number_or_nothing(difference, "p_holm"),
                        significant, fmt::format("{}", cell.at("diverged").size()),
                        published == kDash ? std::string() : published, values});
    }
  }
  return text;
}

}  // namespace ddpm_eval::eval
