#pragma once

#include <filesystem>
#include <string>

namespace ddpm_eval::eval {

/// One self-contained HTML page of a run folder: its scores (score.json) beside their yardsticks, its sample
/// grid (grid.png), the curve of its scores (scores.jsonl), its loss log (log.jsonl), and the full context.
/// Whatever is absent is left out; a folder with none of them is a DataError, as is a file that is not what
/// its name says. Everything read from files is escaped; the page loads nothing and needs no script.
std::string render_run_page(const std::filesystem::path& folder);

/// Text made safe for HTML content and attribute values.
std::string escape_html(const std::string& text);

}  // namespace ddpm_eval::eval
