#include "eval/ablation/table_html.h"

#include "eval/ablation/table_text.h"
#include "eval/report/page.h"

#include <charconv>

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

/// The number of the note that a cell's text ends with, as " [2]"; 0 if with none. The text loses it.
size_t take_note(std::string_view& text, size_t notes) {
  const size_t open = text.rfind(" [");
  if (open == std::string_view::npos || !text.ends_with(']')) {
    return 0;
  }
  const char* end = text.data() + text.size() - 1;
  size_t number = 0;
  const auto [after, problem] = std::from_chars(text.data() + open + 2, end, number);
  if (problem != std::errc() || after != end || number > notes) {
    return 0;
  }
  text = text.substr(0, open);
  return number;
}

Html cell_html(std::string_view text, size_t notes) {
  std::vector<size_t> marks;
  for (size_t mark = take_note(text, notes); mark != 0; mark = take_note(text, notes)) {
    marks.insert(marks.begin(), mark);
  }
  Html cell = text_piece(text);
  if (marks.empty()) {
    return cell;
  }
  Html links;
  for (const size_t mark : marks) {
    links.add(" ").add(
        element("a", {{"href", fmt::format("#note-{}", mark)}, {"aria-label", fmt::format("note {}", mark)}},
                fmt::format("{}", mark)));
  }
  return cell.add(element("sup", {}, links));
}

}  // namespace

Html table_html(const nlohmann::ordered_json& table) {
  const auto content = table_text(table);
  Html all;
  for (const auto& one : content.tables) {
    PageTable page_table{one.caption.empty() ? "Every cell" : one.caption, one.rows.front(), {}};
    for (auto row = one.rows.begin() + 1; row != one.rows.end(); ++row) {
      std::vector<Html> cells;
      for (const auto& text : *row) {
        cells.push_back(cell_html(text, content.notes.size()));
      }
      page_table.rows.push_back(std::move(cells));
    }
    all.add(table_element(page_table));
  }
  Html remarks, notes;
  for (const auto& remark : content.remarks) {
    remarks.add(element("li", {}, remark));
  }
  for (size_t i = 0; i < content.notes.size(); ++i) {
    notes.add(element("li", {{"id", fmt::format("note-{}", i + 1)}}, content.notes[i]));
  }
  all.add(element("ul", {{"class", "remarks"}}, remarks));
  if (!notes.empty()) {
    all.add(element("h3", {}, "Notes")).add(element("ol", {{"class", "notes"}}, notes));
  }
  return all;
}

}  // namespace ddpm_eval::eval
