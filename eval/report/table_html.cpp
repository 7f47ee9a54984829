#include "eval/report/table_html.h"

#include "eval/ablation/table_text.h"
#include "eval/report/page.h"

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

Html cell_html(const TextCell& content) {
  Html cell = text_piece(content.text);
  if (content.marks.empty()) {
    return cell;
  }
  Html links;
  for (const size_t mark : content.marks) {
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
    PageTable page_table{one.caption.empty() ? "Every cell" : one.caption, one.head, {}};
    for (const auto& row : one.rows) {
      std::vector<Html> cells;
      for (const auto& cell : row) {
        cells.push_back(cell_html(cell));
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
