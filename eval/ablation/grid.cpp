#include "eval/ablation/grid.h"

#include "base/core/error.h"
#include "base/core/record.h"
#include "base/core/statistics.h"
#include "base/core/text.h"
#include "base/data/sinks.h"
#include "base/data/source_spec.h"
#include "base/tensor/runtime.h"
#include "ddpm/likelihood.h"
#include "eval/ablation/grid_cells.h"

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <set>

#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

using core::Json;

struct GridHead {
  Grid& grid;
  std::string config{};

  void fields(core::ConfigVisitor& v) {
    std::vector<int64_t> no_cells;
    AnyKeys axes;
    AnyKeys settings;
    v.value("title", grid.title);
    v.value("source", grid.source);
    v.value("config", config);
    v.value("seeds", grid.seeds);
    v.value("baseline", grid.baseline);
    v.value("threads", grid.threads);
    v.section("budget", grid.budget);
    v.section("stop", grid.stop);
    v.section("score", grid.score);
    v.section("likelihood", grid.likelihood);
    v.section("set", settings);
    v.section("axes", axes);
    v.value("cells", no_cells);
  }
};

/// Base, then the grid's [set], then the cell's own.
ddpm::RunConfig resolve(const NamedText& base, const Grid& grid, const std::vector<GridSetting>& common,
                        const GridCell& cell, const std::string& origin) {
  auto tree = core::ConfigTree::from_text(base.text, base.origin);
  const auto lay = [&](const GridSetting& setting, const std::string& where) {
    tree.set(setting.key + "=" + setting.value, where + ": " + setting.key);
  };
  for (const auto& setting : common) {
    lay(setting, fmt::format("{}: set", origin));
  }
  for (const auto& setting : cell.settings) {
    lay(setting, fmt::format("{}: cell '{}'", origin, cell.name));
  }
  ddpm::RunConfig config;
  core::read_config(tree, config);
  config.train.loop.steps = grid.budget.steps;
  config.train.loop.time_limit_s = 0;
  config.train.loop.diverged_factor = grid.stop.diverged_factor;
  config.train.loop.diverged_steps = grid.stop.diverged_steps;
  config.train.seed = grid.seeds.front();
  config.score = {};
  try {
    config.validate();
  } catch (const core::UsageError& error) {
    throw core::UsageError("{}: cell '{}': {}", origin, cell.name, error.what());
  }
  if (config.sample.weights == ddpm::SampleWeights::kBest) {
    throw core::UsageError(
        "{}: cell '{}': sample.weights: a grid does not score while it trains; use 'ema' or 'last'", origin,
        cell.name);
  }
  return config;
}

Json config_json(const ddpm::RunConfig& config) { return Json::parse(core::config_to_json(config)); }

void check_head(const Grid& grid, const std::string& origin) {
  const auto need = [&](bool fine, const char* what) {
    if (!fine) {
      throw core::UsageError("{}: {}", origin, what);
    }
  };
  need(grid.budget.steps > 0, "budget.steps: must be set, above 0: what every cell is trained for");
  need(grid.score.num >= 2, "score.num: must be set, 2 at least: the samples of each cell");
  need(!grid.score.real.empty(), "score.real: names no reference");
  need(grid.score.seed >= 0 && grid.likelihood.seed >= 0,
       "score.seed and likelihood.seed: must not be negative");
  if (grid.threads < 0 || grid.threads > tensor::kMaxThreads) {
    throw core::UsageError("{}: threads: expected a number from 0 (those of --threads) to {}, found {}",
                           origin, tensor::kMaxThreads, grid.threads);
  }
  require_one_line(origin, "title", grid.title);
  require_one_line(origin, "source", grid.source);
  told_with(origin + ": score.real", [&] { data::parse_source(grid.score.real); });
  if (!grid.likelihood.data.empty()) {
    told_with(origin + ": likelihood.data", [&] { data::parse_source(grid.likelihood.data); });
  }
}

/// Before the bound of a first cell is evaluated, not after its training.
void check_likelihood(const Grid& grid, const GridCell& cell, const std::string& origin) {
  if (grid.likelihood.data.empty()) {
    return;
  }
  ddpm::LikelihoodOptions options;
  options.strata = grid.likelihood.strata;
  options.micro_batch = grid.likelihood.micro_batch;
  try {
    options.validate(cell.config.process.steps);
  } catch (const core::UsageError& error) {
    throw core::UsageError("{}: likelihood.{} (cell '{}')", origin, error.what(), cell.name);
  }
}

/// The samples of a cell are kept, in an array of points or in a folder of images.
void check_count(const Grid& grid, const std::string& origin) {
  const bool points = grid.is_for_points();
  const int64_t most = points ? data::kMaxMadeUp : data::kMaxPngFiles;
  if (grid.score.num > most) {
    throw core::UsageError("{}: score.num: {} is above {}, the most {}", origin, grid.score.num, most,
                           points ? "points that are made up" : "images that a folder of samples holds");
  }
}

std::vector<int64_t> read_seeds(Json& root, const std::string& origin) {
  auto& seeds = root["seeds"];
  if (seeds.is_number_integer()) {
    if (seeds < 1 || seeds > core::kMaxSignFlips) {
      throw core::UsageError("{}: seeds: {} is not a number of seeds from 1 to {}", origin,
                             seeds.get<int64_t>(), core::kMaxSignFlips);
    }
    std::vector<int64_t> list(seeds.get<size_t>());
    std::iota(list.begin(), list.end(), int64_t{0});
    seeds = list;
    return list;
  }
  std::set<int64_t> seen;
  for (const auto& seed : seeds.is_array() ? seeds : Json::array()) {
    if (!seed.is_number_integer() || seed < 0 || !seen.insert(seed.get<int64_t>()).second) {
      throw core::UsageError("{}: seeds: {} is no seed, or is there twice", origin, core::json_text(seed));
    }
  }
  if (seen.empty() || static_cast<int64_t>(seen.size()) > core::kMaxSignFlips) {
    throw core::UsageError("{}: seeds: expected a count or a list, of {} at most", origin,
                           core::kMaxSignFlips);
  }
  return seeds.get<std::vector<int64_t>>();
}

void require_distinct_cells(const Grid& grid, const std::string& origin) {
  for (size_t i = 0; i < grid.cells.size(); ++i) {
    for (size_t k = 0; k < i; ++k) {
      const auto& a = grid.cells[k];
      const auto& b = grid.cells[i];
      if (a.name == b.name) {
        throw core::UsageError("{}: two cells are named '{}'", origin, a.name);
      }
      if (core::config_to_json(a.config) == core::config_to_json(b.config)) {
        throw core::UsageError("{}: cells '{}' and '{}' are the same configuration", origin, a.name, b.name);
      }
      if (a.row == b.row && a.column == b.column) {
        throw core::UsageError("{}: cells '{}' and '{}' have one place in the table: row '{}'{}", origin,
                               a.name, b.name, a.row,
                               a.column.empty() ? "" : fmt::format(", column '{}'", a.column));
      }
      if (a.config.model.is_for_points() != b.config.model.is_for_points()) {
        throw core::UsageError("{}: cells '{}' and '{}': one makes points and the other images", origin,
                               a.name, b.name);
      }
    }
  }
}

/// Sampling is no part of a training.
void find_owners(Grid& grid) {
  std::vector<std::string> trainings;
  for (size_t i = 0; i < grid.cells.size(); ++i) {
    auto training = config_json(grid.cells[i].config);
    training.erase("sample");
    trainings.push_back(core::json_text(training));
    grid.cells[i].owner = static_cast<size_t>(
        std::find(trainings.begin(), trainings.end(), trainings.back()) - trainings.begin());
  }
}

void check_baseline(const Grid& grid, const std::string& origin) {
  if (grid.find(grid.baseline) == nullptr) {
    std::vector<std::string> names;
    for (const auto& cell : grid.cells) {
      names.push_back(cell.name);
    }
    const auto hint = core::did_you_mean(grid.baseline, names);
    throw core::UsageError("{}: baseline: there is no cell '{}'{}", origin, grid.baseline,
                           hint.empty() ? "; choose " + core::join_or(names) : hint);
  }
}

Json parse_root(const NamedText& grid) {
  return core::parse_json(core::ConfigTree::from_text(grid.text, grid.origin).to_json());
}

}  // namespace

void GridBudget::fields(core::ConfigVisitor& v) { v.value("steps", steps); }

void GridStop::fields(core::ConfigVisitor& v) {
  v.value("diverged_factor", diverged_factor);
  v.value("diverged_steps", diverged_steps);
}

void GridScore::fields(core::ConfigVisitor& v) {
  v.value("num", num);
  v.value("real", real);
  v.value("seed", seed);
  v.value("features", features);
  v.value("preset", preset);
  v.value("inception_score", inception_score);
}

void GridLikelihood::fields(core::ConfigVisitor& v) {
  v.value("data", data);
  v.value("strata", strata);
  v.value("seed", seed);
  v.value("micro_batch", micro_batch);
}

ddpm::RunConfig Grid::config_of(size_t cell, int64_t seed) const {
  auto config = cells.at(cell).config;
  config.train.seed = seed;
  return config;
}

Json Grid::definition_of(size_t cell) const {
  auto config = config_json(cells.at(cell).config);
  config["train"].erase("seed");
  config.erase("score");
  return {{"config", std::move(config)},
          {"score", Json::parse(core::config_to_json(score))},
          {"likelihood", Json::parse(core::config_to_json(likelihood))}};
}

const GridCell* Grid::find(const std::string& name) const {
  const auto found =
      std::find_if(cells.begin(), cells.end(), [&](const GridCell& cell) { return cell.name == name; });
  return found == cells.end() ? nullptr : &*found;
}

std::string base_config_path(const NamedText& grid) {
  const auto root = parse_root(grid);
  if (!root.contains("config") || !root["config"].is_string() || root["config"].get<std::string>().empty()) {
    throw core::UsageError("{}: config: names no base configuration", grid.origin);
  }
  return (std::filesystem::path(grid.origin).parent_path() / root["config"].get<std::string>())
      .lexically_normal()
      .string();
}

std::string place_label(const std::string& row, const std::string& column) {
  return column.empty() ? row : row + ", " + column;
}

Grid read_grid(const NamedText& text, const NamedText& base) {
  const auto& origin = text.origin;
  auto root = parse_root(text);
  Grid grid;
  grid.seeds = read_seeds(root, origin);
  const auto axes = read_axes(take(root, "axes", Json::object(), origin), origin);
  const auto common = read_settings(take(root, "set", Json::object(), origin), origin + ": set");
  auto cells = take(root, "cells", Json::array(), origin);
  read_head(root, origin, GridHead{grid});
  check_head(grid, origin);
  for (size_t i = 0; i < cells.size(); ++i) {
    grid.cells.push_back(read_cell(std::move(cells[i]), fmt::format("{}: cells[{}]", origin, i)));
  }
  if (grid.cells.empty()) {
    if (axes.empty()) {
      throw core::UsageError("{}: has neither [[cells]] nor [axes], so that there is nothing to compare",
                             origin);
    }
    grid.cells.emplace_back();
  }
  for (size_t i = 0; i < axes.size(); ++i) {
    const bool has_rows = i > 0 || !grid.cells.front().name.empty();
    grid.cells = crossed(grid.cells, axes[i], i + 1 == axes.size() && has_rows, origin);
  }
  for (auto& cell : grid.cells) {
    require_usable(cell, origin);
    cell.config = resolve(base, grid, common, cell, origin);
    check_likelihood(grid, cell, origin);
  }
  require_distinct_cells(grid, origin);
  check_count(grid, origin);
  if (grid.is_for_points() &&
      (grid.score.inception_score || !grid.score.features.empty() || !grid.score.preset.empty())) {
    throw core::UsageError("{}: score: points are compared without features, preset and Inception Score",
                           origin);
  }
  find_owners(grid);
  check_baseline(grid, origin);
  return grid;
}

}  // namespace ddpm_eval::eval
