#pragma once

#include "eval/ablation/grid.h"

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

// What a grid's records come to: mean and deviation over seeds, the paired difference to the baseline, and
// whether it is significant. All that is printed is a function of the table's record, which has neither times
// nor places.
namespace ddpm_eval::eval {

/// What is known of one job: its record, or why there is none.
struct JobOutcome {
  core::Json record;    ///< null if there is none
  std::string failure;  ///< why it failed; empty: it did not run yet
};

/// `outcomes[cell][i]` is of grid.seeds[i]. The record of kind "ablation table": per cell and metric the
/// values by seed, count, mean, sample deviation, and the paired difference to the baseline with standard
/// error, p of the sign-flip test and p after Holm's correction over all comparisons of the table.
/// Significance is stated
/// ("significant") only where the smallest p that the test can reach with as many seeds stays below 0.05
/// after the correction.
core::Json make_grid_table(const Grid& grid, const std::vector<std::vector<JobOutcome>>& outcomes);

/// The same table as text. Lines are cells and columns metrics; where cells have column labels there is one
/// table for each metric.
std::string table_markdown(const core::Json& table);
std::string table_latex(const core::Json& table);

/// One line for each cell and metric, all numbers in full.
std::string table_csv(const core::Json& table);

/// A mean with its deviation, to two digits of the deviation: "0.0262 ± 0.0011"; alone to five digits if
/// there is no deviation.
std::string with_deviation(double mean, double sd);

}  // namespace ddpm_eval::eval
