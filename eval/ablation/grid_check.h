#pragma once

#include "eval/ablation/grid.h"

#include <string>

// What can be told of a grid once its sources are looked at, before any work.
namespace ddpm_eval::eval {

/// Throws UsageError naming `origin`, the grid's file, and key or cell for a network that its data does not
/// suit or whose sizes it refuses, and for references and held-out data of the wrong kind or without
/// examples; DataError for folders and files among them that cannot be read. Loads no data set.
void check_grid(const Grid& grid, const std::string& origin);

/// Rows through the network that a job of a cell takes, a training step's backward pass counted as two.
struct JobCost {
  double training = 0;  ///< 0 for cells that another one trains for
  double sampling = 0;
  double likelihood = 0;
};

/// Throws as check_grid().
JobCost cost_of(const Grid& grid, size_t cell);

}  // namespace ddpm_eval::eval
