#pragma once

#include "eval/ablation/grid_folder.h"
#include "eval/report/page.h"

#include <vector>

#include <nlohmann/json.hpp>

// The plots of a grid's page.
namespace ddpm_eval::eval {

/// For each metric of make_grid_table() its mean over seeds with the sample deviation: a row for each cell,
/// or where the columns are numbers of one thing a line for each row.
std::vector<PlotFigure> score_figures(const nlohmann::ordered_json& table);

/// The losses of all trainings and, where they are there, the terms of the bound over t.
std::vector<PlotFigure> training_figures(const GridFolder& folder);

}  // namespace ddpm_eval::eval
