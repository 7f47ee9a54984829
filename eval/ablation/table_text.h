#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

// The words of a grid's table, before they are Markdown or LaTeX.
namespace ddpm_eval::eval {

/// What is printed where there is no number, as the paper does.
inline constexpr const char* kDash = "–";

struct TextCell {
  std::string text;
  std::vector<size_t> marks{};  ///< numbers of TableText::notes, from 1
};

struct TextTable {
  std::string caption;
  std::vector<std::string> head;
  std::vector<std::vector<TextCell>> rows;  ///< each as long as the head
};

struct TableText {
  std::vector<TextTable> tables;
  std::vector<std::string> remarks;  ///< on all of it
  std::vector<std::string> notes;    ///< those that cells refer to
};

/// From what make_grid_table() gave: a list of cells, or where these have column labels a table for each
/// metric.
TableText table_text(const nlohmann::ordered_json& table);

/// The head and the rows, with the marks of each cell after its text, as " [1]".
std::vector<std::vector<std::string>> printed_rows(const TextTable& table);

/// What was published for a cell, if it may stand beside ours, or kDash.
std::string published_text(const nlohmann::ordered_json& cell, const std::string& metric);

}  // namespace ddpm_eval::eval
