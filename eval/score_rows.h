#pragma once

#include "eval/score_record.h"

#include <string>
#include <utility>
#include <vector>

namespace ddpm_eval::eval {

enum class TableFormat { kMarkdown, kCsv, kLatex };

/// "markdown", "csv", "latex".
const std::vector<std::pair<std::string, TableFormat>>& table_format_words();

/// The scores as a table for a paper. Markdown and LaTeX have a row for the samples, each yardstick and the
/// floor, with counts, features and preset as columns, kernel distances times 1000 as well (as papers give
/// them) and a column for each interval. CSV has a line for each set and score, with all numbers in full.
std::string score_rows(const ScoreRecord& record, TableFormat format);

}  // namespace ddpm_eval::eval
