#pragma once

#include "eval/ablation/cell_scorer.h"
#include "eval/ablation/grid_folder.h"
#include "eval/command.h"
#include "eval/image_sets.h"

namespace ddpm_eval::eval {

/// What the jobs of one process share.
struct GridTools {
  const CellScorer& scorer;
  ImageSets& sets;  ///< training and held-out data
  const Session& session;
};

/// Does what is left of a job, whose folder the caller has locked: training and bound if the job is the one
/// that others wait for, samples, scores, and last of all record.json. The training of other jobs must be
/// there. A training that diverges is a result. Throws InterruptedError with all saved, and whatever makes
/// the job fail.
void run_grid_job(const GridFolder& folder, const GridJob& job, const GridTools& tools);

}  // namespace ddpm_eval::eval
