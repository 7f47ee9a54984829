#pragma once

#include "eval/ablation/grid_folder.h"
#include "eval/ablation/grid_table.h"

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {

/// What is known of every job, as make_grid_table() takes it.
std::vector<std::vector<JobOutcome>> collect_outcomes(const GridFolder& folder);

/// Writes table.json, table.md, table.csv and table.tex into the folder and returns the record. The same
/// results give the same bytes.
core::Json write_grid_tables(const GridFolder& folder);

/// "sample.steps = 5, sample.eta = 0.5": what distinguishes a cell from the base; empty for the base itself.
std::string settings_text(const GridCell& cell);

/// What `ablate --dry-run` prints: every cell with what distinguishes it and what a job of it takes. Throws
/// as cost_of().
std::string describe_cells(const Grid& grid);

}  // namespace ddpm_eval::eval
