#pragma once

#include "eval/ablation/grid.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

// The folder of a grid: grid.toml and base.toml, copies of what it was made from, and for each cell and seed
// a job's folder <cell>/seed-<s> with
//   definition.json  what its numbers depend on, written first; records name it by its SHA-256
//   run/             the training, in one of the cells that share it
//   nll/             the evaluation of the bound
//   training.json    beside run/, once training and bound are done: how they ended
//   samples.npy      or samples/
//   log.txt          what was said on the way
//   job.lock         locked by the process that does the job; means nothing by itself
//   failed.json      why the job could not be done
//   record.json      the result, written last: the job is done
namespace ddpm_eval::eval {

enum class JobState { kWaiting, kRunning, kDone, kDiverged, kFailed };

class GridFolder {
 public:
  /// Opens what an earlier call has made. Throws DataError for a folder that holds no grid, and what
  /// read_grid() and check() throw.
  static GridFolder open(const std::filesystem::path& folder);

  /// As create(), but nothing is written: the folder need not be there.
  static GridFolder plan(const std::filesystem::path& folder, const std::filesystem::path& file);

  /// Makes the folder for the grid in `file`, or opens it for more of the same. Throws UsageError for a
  /// folder that holds something else, and as check(); nothing is written then.
  static GridFolder create(const std::filesystem::path& folder, const std::filesystem::path& file);

  const Grid& grid() const { return grid_; }
  const std::filesystem::path& path() const { return path_; }

  /// All jobs, seed by seed, so that what is there early can be compared.
  std::vector<GridJob> jobs() const;

  std::filesystem::path job_folder(const GridJob& job) const;
  /// Of the job that trains for `job`.
  std::filesystem::path owner_folder(const GridJob& job) const;

  /// The job's record, if it is done, else null. It is read once: what is done does not change. Throws
  /// DataError for one that is damaged, of a later schema, of something else or of another job
  /// (require_own()).
  const core::Json* record(const GridJob& job) const;
  /// What training.json of its owner says, if it is there. As record().
  const core::Json* training(const GridJob& job) const;
  /// What failed.json says, if it is there.
  std::optional<core::Json> failure(const GridJob& job) const;

  /// Takes the lock of the job for a moment to tell whether somebody works on it.
  JobState state(const GridJob& job) const;

  /// Throws UsageError naming the cell if the folder holds jobs that are not the grid's, or whose numbers
  /// were made from another definition than its cells have now; DataError as record() and training().
  void check() const;

 private:
  using Kept = std::map<std::pair<size_t, int64_t>, core::Json>;

  GridFolder(std::filesystem::path folder, Grid grid);
  static GridFolder planned(const std::filesystem::path& folder, Grid grid);
  GridJob owner_of(const GridJob& job) const;
  const core::Json* keep(Kept& kept, const GridJob& job, const char* file, const char* kind) const;
  void check_job(const GridJob& job, const std::filesystem::path& folder) const;

  std::filesystem::path path_;
  Grid grid_;
  mutable Kept records_;
  mutable Kept trainings_;
};

/// Reads a grid's file and the base configuration that it names.
Grid read_grid_file(const std::filesystem::path& file);

/// Kinds of a job's records.
inline constexpr const char* kJobKind = "ablation job";
inline constexpr const char* kTrainingKind = "ablation training";

}  // namespace ddpm_eval::eval
