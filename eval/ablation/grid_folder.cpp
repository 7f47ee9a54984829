#include "eval/ablation/grid_folder.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/file_lock.h"
#include "base/core/record.h"
#include "base/core/temporary_name.h"
#include "eval/ablation/grid_definition.h"
#include "eval/run_files.h"

#include <algorithm>
#include <system_error>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;
using core::Json;

constexpr uint64_t kMaxGridBytes = 1 << 20;

NamedText read_named(const fs::path& path) { return {core::read_text(path, kMaxGridBytes), path.string()}; }

std::vector<fs::path> folders_in(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->is_directory(error)) {
      found.push_back(it->path());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

/// What a killed process may leave in a folder that it has only begun does not count.
bool is_free(const fs::path& folder) {
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (!core::TemporaryName::is_one(it->path().filename().native())) {
      return false;
    }
  }
  return true;
}

/// Whether a record has what is read of it.
bool is_sound(const Json& record, std::string_view kind) {
  const auto is_object = [&](const char* key) { return record.contains(key) && record[key].is_object(); };
  if (!record.contains("kind") || record["kind"] != kind || !record.contains("outcome")) {
    return false;
  }
  if (record["outcome"] == "diverged") {
    return is_object("divergence") && core::has_integer(record["divergence"], "first_step") &&
           record["divergence"].contains("reason") && record["divergence"]["reason"].is_string() &&
           record["divergence"].contains("loss") && record["divergence"].contains("grad_norm");
  }
  const bool is_trained =
      kind == kJobKind || (core::has_integer(record, "step") && core::has_integer(record, "parameters") &&
                           core::has_number(record, "seconds") && core::has_number(record, "seconds_here"));
  return record["outcome"] == "trained" && is_object("metrics") && is_object("problems") && is_trained;
}

/// Whether any job of the cell has trained or begun to.
bool has_begun(const fs::path& cell_folder) {
  return std::ranges::any_of(folders_in(cell_folder), [](const fs::path& folder) {
    return file_exists(folder / "run") || file_exists(folder / kTrainingFile);
  });
}

/// A cell that comes before one of the same training must not train again what that one has: of those that
/// share a training, the first that has begun it goes on owning it.
void leave_trainings_where_they_are(Grid& grid, const fs::path& folder) {
  std::map<size_t, size_t> begun;
  for (size_t i = 0; i < grid.cells.size(); ++i) {
    if (has_begun(folder / grid.cells[i].name)) {
      begun.try_emplace(grid.cells[i].owner, i);
    }
  }
  for (auto& cell : grid.cells) {
    if (const auto found = begun.find(cell.owner); found != begun.end()) {
      cell.owner = found->second;
    }
  }
}

/// Earlier versions lock the job's folder itself.
bool is_worked_on(const fs::path& job_folder) {
  if (core::FileLock::is_held(job_folder / kJobLockFile)) {
    return true;
  }
  try {
    const core::FolderLock probe(job_folder);
    return false;
  } catch (const core::ResourceError&) {
    return true;
  }
}

/// Only written where it would change, so that another machine at work on the folder is not disturbed.
void keep_copy(const fs::path& target, const std::string& text) {
  if (!file_exists(target) || core::read_text(target) != text) {
    core::write_file(target, text);
  }
}

}  // namespace

Grid read_grid_file(const fs::path& file) {
  const auto text = read_named(file);
  return read_grid(text, read_named(base_config_path(text)));
}

GridFolder::GridFolder(fs::path folder, Grid grid) : path_(std::move(folder)), grid_(std::move(grid)) {
  leave_trainings_where_they_are(grid_, path_);
}

GridFolder GridFolder::open(const fs::path& folder) {
  if (!file_exists(folder / kGridCopy)) {
    throw core::DataError("{}: holds no grid (no {})", folder.string(), kGridCopy);
  }
  GridFolder result(folder, read_grid(read_named(folder / kGridCopy), read_named(folder / kBaseCopy)));
  result.check();
  return result;
}

GridFolder GridFolder::plan(const fs::path& folder, const fs::path& file) {
  return planned(folder, read_grid_file(file));
}

GridFolder GridFolder::planned(const fs::path& folder, Grid grid) {
  GridFolder result(folder, std::move(grid));
  if (!file_exists(folder / kGridCopy) && file_exists(folder) && !is_free(folder)) {
    throw core::UsageError("--out {}: is not empty and holds no grid; choose another folder",
                           folder.string());
  }
  result.check();
  return result;
}

GridFolder GridFolder::create(const fs::path& folder, const fs::path& file) {
  const auto text = read_named(file);
  const auto base = read_named(base_config_path(text));
  auto result = planned(folder, read_grid(text, base));
  core::make_folders(folder);
  keep_copy(folder / kGridCopy, text.text);
  keep_copy(folder / kBaseCopy, base.text);
  return result;
}

std::vector<GridJob> GridFolder::jobs() const {
  std::vector<GridJob> all;
  for (const int64_t seed : grid_.seeds) {
    for (size_t cell = 0; cell < grid_.cells.size(); ++cell) {
      all.push_back({cell, seed});
    }
  }
  return all;
}

fs::path GridFolder::job_folder(const GridJob& job) const {
  return path_ / grid_.cells.at(job.cell).name / fmt::format("seed-{}", job.seed);
}

fs::path GridFolder::owner_folder(const GridJob& job) const { return job_folder(owner_of(job)); }

GridJob GridFolder::owner_of(const GridJob& job) const { return {grid_.cells.at(job.cell).owner, job.seed}; }

const Json* GridFolder::keep(Kept& kept, const GridJob& job, const char* file, const char* kind) const {
  const std::pair key(job.cell, job.seed);
  if (const auto found = kept.find(key); found != kept.end()) {
    return &found->second;
  }
  const auto path = job_folder(job) / file;
  if (!file_exists(path)) {
    return nullptr;
  }
  auto record = core::read_record(path);
  if (!is_sound(record, kind)) {
    throw core::DataError("{}: is not the record of an {}; remove it to do the job again", path.string(),
                          kind);
  }
  if (kind == std::string_view(kTrainingKind) && !record.contains("cell")) {
    // Of an earlier version, whose records of trainings do not say whose they are. The run and the bound
    // beside it do, and are there: the record is made anew from them.
    return nullptr;
  }
  require_own(grid_, job, path, record);
  return &kept.emplace(key, std::move(record)).first->second;
}

const Json* GridFolder::record(const GridJob& job) const {
  return keep(records_, job, kJobRecordFile, kJobKind);
}

const Json* GridFolder::training(const GridJob& job) const {
  return keep(trainings_, owner_of(job), kTrainingFile, kTrainingKind);
}

std::optional<Json> GridFolder::failure(const GridJob& job) const {
  const auto path = job_folder(job) / kFailureFile;
  if (!file_exists(path)) {
    return std::nullopt;
  }
  try {
    return core::read_record(path);
  } catch (const core::DataError&) {  // removed by a process that tries again, or damaged: no reason to stop
    return std::nullopt;
  }
}

JobState GridFolder::state(const GridJob& job) const {
  if (const auto* done = record(job)) {
    return done->at("outcome") == "diverged" ? JobState::kDiverged : JobState::kDone;
  }
  if (const auto folder = job_folder(job); file_exists(folder) && is_worked_on(folder)) {
    return JobState::kRunning;
  }
  const auto owner = owner_of(job);
  const bool in_vain =
      owner.cell != job.cell && training(job) == nullptr && state(owner) == JobState::kFailed;
  return in_vain || failure(job) ? JobState::kFailed : JobState::kWaiting;
}

void GridFolder::check() const {
  for (const auto& cell_folder : folders_in(path_)) {
    const auto name = cell_folder.filename().string();
    const auto cell = std::find_if(grid_.cells.begin(), grid_.cells.end(),
                                   [&](const GridCell& one) { return one.name == name; });
    if (cell == grid_.cells.end()) {
      throw core::UsageError(
          "{}: holds '{}', which is no cell of this grid: the results of another, or the grid was edited "
          "after its "
          "cells ran; choose another --out",
          path_.string(), name);
    }
    for (const auto& folder : folders_in(cell_folder)) {
      const auto seed = std::find_if(grid_.seeds.begin(), grid_.seeds.end(), [&](int64_t one) {
        return folder.filename() == fmt::format("seed-{}", one);
      });
      if (seed == grid_.seeds.end()) {
        throw core::UsageError("{}: is of a seed that the grid does not have; choose another --out",
                               folder.string());
      }
      check_job({static_cast<size_t>(cell - grid_.cells.begin()), *seed}, folder);
    }
  }
}

void GridFolder::check_job(const GridJob& job, const fs::path& folder) const {
  const auto path = folder / kDefinitionFile;
  if (file_exists(path)) {
    const auto then = core::read_record(path);
    require_own(grid_, job, path, then);
    const auto difference = definition_difference(job_definition(grid_, job), then);
    if (!difference.empty() && has_results(folder)) {
      throw core::UsageError(
          "{}: cell '{}' has run with another definition: {}; choose another --out, or put the grid back",
          path.string(), grid_.cells[job.cell].name, difference);
    }
  }
  record(job);
  if (grid_.cells[job.cell].owner == job.cell) {
    training(job);
  }
}

}  // namespace ddpm_eval::eval
