#pragma once

#include "eval/report/html.h"

#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {

/// The table of make_grid_table() for a page: the same tables, remarks and notes as its Markdown, notes as
/// links.
Html table_html(const nlohmann::ordered_json& table);

}  // namespace ddpm_eval::eval
