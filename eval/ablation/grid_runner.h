#pragma once

#include "eval/ablation/grid_folder.h"
#include "eval/command.h"

namespace ddpm_eval::eval {

/// Far more than any machine works on.
inline constexpr int64_t kMaxGridJobs = 1024;

/// How many jobs at a time, and of how many threads each.
struct GridParallelism {
  int jobs = 1;
  int threads = 1;
};

/// What --jobs (0: as many as fit) and --threads (0: every available processor) come to for a grid. A grid
/// that fixes the threads of a job has the same numbers whatever both say.
/// Throws UsageError for more than kMaxGridJobs.
GridParallelism parallelism_of(const Grid& grid, int64_t jobs, int threads);

/// Does all jobs of the grid in worker processes of this program, and shows how far they are. Failures of
/// earlier calls are tried again, and a job whose worker is killed once more. Throws InterruptedError when
/// asked to stop, the workers' states saved, and what ends a worker early; jobs that have failed are told by
/// their records.
void run_grid(const GridFolder& folder, const GridParallelism& parallelism, const Session& session);

}  // namespace ddpm_eval::eval
