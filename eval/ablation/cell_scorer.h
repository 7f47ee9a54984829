#pragma once

#include "eval/ablation/grid.h"
#include "eval/command.h"
#include "eval/sampling.h"

#include <filesystem>
#include <memory>

#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {

/// Numbers by their metric's name, and for those that cannot be had the reason.
struct CellScores {
  core::Json metrics = core::Json::object();
  core::Json problems = core::Json::object();
};

/// What the cells of a grid are scored with: reference and feature network, loaded once.
class CellScorer {
 public:
  virtual ~CellScorer() = default;

  /// What every score depends on but for the samples: reference, counts, features; for made-up points also
  /// the floor, fresh real points against the reference.
  virtual core::Json context() const = 0;

  /// Draws the samples of `run` into `folder` (samples.npy, or samples/), where those of a killed process are
  /// gone on with, and scores them. A number that samples do not have, as those that are not finite, is a
  /// problem and no error. Throws InterruptedError, ResourceError.
  virtual CellScores score(const LoadedRun& run, const std::filesystem::path& folder) const = 0;
};

/// Throws UsageError and DataError for what does not suit, before any work.
std::unique_ptr<CellScorer> make_cell_scorer(const Grid& grid, const Session& session);

}  // namespace ddpm_eval::eval
