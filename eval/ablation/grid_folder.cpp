#include "eval/ablation/grid_folder.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/record.h"
#include "base/core/temporary_name.h"

#include <algorithm>
#include <system_error>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;
using core::Json;

constexpr const char* kGridCopy = "grid.toml";
constexpr const char* kBaseCopy = "base.toml";
constexpr uint64_t kMaxGridBytes = 1 << 20;

NamedText read_named(const fs::path& path) { return {core::read_text(path, kMaxGridBytes), path.string()}; }

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

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

std::optional<Json> read_kind(const fs::path& path, const std::string& kind) {
  if (!is_there(path)) {
    return std::nullopt;
  }
  auto record = core::read_record(path);
  if (!record.contains("kind") || record["kind"] != kind || !record.contains("outcome") ||
      !record["outcome"].is_string()) {
    throw core::DataError("{}: is not the record of an {}; remove it to do the job again", path.string(),
                          kind);
  }
  return record;
}

/// The first key that differs, as "config.objective.loss", with both values; empty if none does.
std::string first_difference(const Json& now, const Json& then, const std::string& prefix) {
  if (now.is_object() && then.is_object()) {
    for (const auto& [key, value] : now.items()) {
      const auto full = prefix.empty() ? key : prefix + "." + key;
      if (!then.contains(key)) {
        return full + " was not there";
      }
      if (auto difference = first_difference(value, then[key], full); !difference.empty()) {
        return difference;
      }
    }
    for (const auto& [key, unused] : then.items()) {
      if (!now.contains(key)) {
        return (prefix.empty() ? key : prefix + "." + key) + " is not there any more";
      }
    }
    return {};
  }
  return now == then
             ? std::string()
             : fmt::format("{} is {} and was {}", prefix, core::json_text(now), core::json_text(then));
}

/// Only written where it would change, so that another machine at work on the folder is not disturbed.
void keep_copy(const fs::path& target, const std::string& text) {
  if (!is_there(target) || core::read_text(target) != text) {
    core::write_file(target, text);
  }
}

}  // namespace

Json job_definition(const Grid& grid, const GridJob& job) {
  Json definition = {{"schema", core::kRecordSchema},
                     {"kind", "ablation definition"},
                     {"cell", grid.cells.at(job.cell).name},
                     {"seed", job.seed}};
  definition.update(grid.definition_of(job.cell));
  return definition;
}

Grid read_grid_file(const fs::path& file) {
  const auto text = read_named(file);
  return read_grid(text, read_named(base_config_path(text)));
}

GridFolder GridFolder::open(const fs::path& folder) {
  if (!is_there(folder / kGridCopy)) {
    throw core::DataError("{}: holds no grid (no {})", folder.string(), kGridCopy);
  }
  GridFolder result(folder, read_grid(read_named(folder / kGridCopy), read_named(folder / kBaseCopy)));
  result.check();
  return result;
}

GridFolder GridFolder::create(const fs::path& folder, const fs::path& file) {
  const auto text = read_named(file);
  const auto base = read_named(base_config_path(text));
  GridFolder result(folder, read_grid(text, base));
  if (!is_there(folder / kGridCopy) && is_there(folder) && !is_free(folder)) {
    throw core::UsageError("--out {}: is not empty and holds no grid; choose another folder",
                           folder.string());
  }
  result.check();
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

fs::path GridFolder::owner_folder(const GridJob& job) const {
  return job_folder({grid_.cells.at(job.cell).owner, job.seed});
}

std::optional<Json> GridFolder::record(const GridJob& job) const {
  return read_kind(job_folder(job) / kJobRecordFile, kJobKind);
}

std::optional<Json> GridFolder::training(const GridJob& job) const {
  return read_kind(owner_folder(job) / kTrainingFile, kTrainingKind);
}

std::optional<Json> GridFolder::failure(const GridJob& job) const {
  const auto path = job_folder(job) / kFailureFile;
  if (!is_there(path)) {
    return std::nullopt;
  }
  try {
    return core::read_record(path);
  } catch (const core::DataError&) {  // removed by a process that tries again, or damaged: no reason to stop
    return std::nullopt;
  }
}

JobState GridFolder::state(const GridJob& job) const {
  if (const auto done = record(job)) {
    return done->at("outcome") == "diverged" ? JobState::kDiverged : JobState::kDone;
  }
  const auto folder = job_folder(job);
  if (!is_there(folder)) {
    return JobState::kWaiting;
  }
  try {
    const core::FolderLock probe(folder);
  } catch (const core::ResourceError&) {
    return JobState::kRunning;
  }
  return failure(job) ? JobState::kFailed : JobState::kWaiting;
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
      const auto definition_path = folder / kDefinitionFile;
      const auto seed = std::find_if(grid_.seeds.begin(), grid_.seeds.end(), [&](int64_t one) {
        return folder.filename() == fmt::format("seed-{}", one);
      });
      if (seed == grid_.seeds.end()) {
        throw core::UsageError("{}: is of a seed that the grid does not have; choose another --out",
                               folder.string());
      }
      const GridJob job{static_cast<size_t>(cell - grid_.cells.begin()), *seed};
      record(job);  // one of another schema or of something else is told before any work
      if (!is_there(definition_path)) {
        continue;
      }
      auto then = core::read_record(definition_path);
      const auto difference = first_difference(job_definition(grid_, job), then, "");
      if (!difference.empty()) {
        throw core::UsageError(
            "{}: cell '{}' has run with another definition: {}; choose another --out, or put the grid back",
            definition_path.string(), name, difference);
      }
    }
  }
}

}  // namespace ddpm_eval::eval
