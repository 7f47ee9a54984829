#pragma once

#include "base/core/config.h"
#include "base/core/json.h"
#include "ddpm/run_config.h"

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

// The definition of an ablation grid: cells that differ in keys of one base configuration, each trained from
// the same seeds with the same budget and scored the same way.
namespace ddpm_eval::eval {

/// Section [budget]: what every cell gets.
struct GridBudget {
  int64_t steps = 0;  ///< train.steps of every cell; must be set

  void fields(core::ConfigVisitor& v);
};

/// Section [stop]: when a training counts as diverged, fixed before any cell runs. The keys are those of
/// [train].
struct GridStop {
  double diverged_factor = 0;
  int64_t diverged_steps = 100;

  void fields(core::ConfigVisitor& v);
};

/// Section [score]: how the samples of every cell are scored. Of points: sliced Wasserstein and energy
/// distance; of images: a Frechet distance and, if asked for, the Inception Score of the same features.
struct GridScore {
  int64_t num = 0;   ///< samples of each cell and seed; must be set
  std::string real;  ///< the reference; must be set
  int64_t seed = 1;  ///< of the samples, the same for all
  std::string features;
  std::string preset;
  bool inception_score = false;

  void fields(core::ConfigVisitor& v);
};

/// Section [likelihood]: the variational bound of every cell, in bits/dim or nats/dim.
struct GridLikelihood {
  std::string data;  ///< held-out data; empty: no bound is evaluated
  int64_t strata = 0;
  int64_t seed = 0;
  int64_t micro_batch = 50;

  void fields(core::ConfigVisitor& v);
};

/// A key of the configuration and its value as JSON.
struct GridSetting {
  std::string key;
  std::string value;
};

struct GridCell {
  std::string name;                                ///< unique; also the name of its folder
  std::string row;                                 ///< label; the name where none is given
  std::string column;                              ///< label; empty in a table that is a list
  std::vector<GridSetting> settings;               ///< what distinguishes it from the base
  std::map<std::string, std::string> published{};  ///< metric, and what was published for the cell
  std::string not_comparable{};  ///< why the published numbers must not stand beside ours; empty: they may
  bool unstable = false;         ///< what was published for the cell is that it could not be trained
  ddpm::RunConfig config{};      ///< resolved, for the first seed
  size_t owner = 0;  ///< index of the cell that trains for all of the same training: the first, until
                     ///< GridFolder finds that another one has begun; its own if it is that one
};

struct Grid {
  std::string title;
  std::string source;  ///< where the published numbers are from
  std::string baseline;
  std::vector<int64_t> seeds;
  int64_t threads = 0;  ///< processors of each job; 0: those of the command, divided by its jobs
  GridBudget budget;
  GridStop stop;
  GridScore score;
  GridLikelihood likelihood;
  std::vector<GridCell> cells;  ///< in the table's order

  bool is_for_points() const { return cells.front().config.model.is_for_points(); }

  /// The configuration of a cell's training from `seed`.
  ddpm::RunConfig config_of(size_t cell, int64_t seed) const;

  /// What the numbers of a cell depend on, but for the seed: configuration, score, likelihood.
  core::Json definition_of(size_t cell) const;

  const GridCell* find(const std::string& name) const;
};

/// A cell trained from a seed.
struct GridJob {
  size_t cell = 0;
  int64_t seed = 0;
};

/// Files in the folder of a grid, beside the folders of its cells: copies of what it was made from, and
/// tables.
inline constexpr const char* kGridCopy = "grid.toml";
inline constexpr const char* kBaseCopy = "base.toml";
inline constexpr const char* kGridFiles[] = {kGridCopy,  kBaseCopy,   "table.json",
                                             "table.md", "table.csv", "table.tex"};

/// Files in the folder of a job (GridFolder).
inline constexpr const char* kDefinitionFile = "definition.json";
inline constexpr const char* kTrainingFile = "training.json";
inline constexpr const char* kJobRecordFile = "record.json";
inline constexpr const char* kFailureFile = "failed.json";
inline constexpr const char* kJobLogFile = "log.txt";
inline constexpr const char* kJobLockFile = "job.lock";

/// "row, column", or the row alone where columns have no labels.
std::string place_label(const std::string& row, const std::string& column);

/// A text and the name of the file that it is from, for messages.
struct NamedText {
  std::string text;
  std::string origin;
};

/// The base configuration's file that a grid names with `config`, relative to the grid's.
std::string base_config_path(const NamedText& grid);

/// Cells that `[[cells]]` lists, crossed with all values of `[axes]`; the first axis varies slowest. Throws
/// UsageError naming file, cell and key for unknown keys, keys that the grid itself sets, values that
/// contradict one another or the base, numbers beyond reason, cells of one name or one configuration, names
/// that no folder can have, labels of more than one line, more than core::kMaxSignFlips seeds and an unknown
/// baseline.
Grid read_grid(const NamedText& grid, const NamedText& base);

}  // namespace ddpm_eval::eval
