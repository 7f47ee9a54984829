#include "eval/ablation/grid_check.h"

#include "base/core/error.h"
#include "base/data/source_spec.h"
#include "ddpm/model_factory.h"
#include "eval/ablation/grid_cells.h"
#include "eval/point_set.h"
#include "eval/source_facts.h"
#include "eval/training_data.h"

#include <map>

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

void check_reference(const Grid& grid, const std::string& origin) {
  const auto spec = data::parse_source(grid.score.real);
  if (spec.kind == data::SourceKind::kRun) {
    return;  // what it makes is known once it is loaded
  }
  const bool points = grid.is_for_points();
  if (holds_points(spec) != points) {
    throw core::UsageError("{}: score.real: {} holds {}, and the cells make {}", origin, grid.score.real,
                           points ? "no points in the plane" : "points", points ? "them" : "images");
  }
  const auto& part = spec.subset;
  if ((part.draw ? part.draw->count : part.count.value_or(2)) < 2) {
    throw core::UsageError("{}: score.real: {}: num must be at least 2", origin, grid.score.real);
  }
}

void check_held_out(const Grid& grid, const std::string& origin) {
  const auto& source = grid.likelihood.data;
  if (source.empty()) {
    return;
  }
  const auto spec = data::parse_source(source);
  const bool points = grid.is_for_points();
  if ((spec.kind == data::SourceKind::kPoints) != points) {
    throw core::UsageError("{}: likelihood.data: {} is {}made-up set of points, and the cells make {}",
                           origin, source, points ? "no " : "a ", points ? "points" : "images");
  }
  told_with(origin + ": likelihood.data", [&] {
    if (examples_in(spec) < 1) {
      throw core::UsageError("{} has no examples", source);
    }
  });
}

}  // namespace

void check_grid(const Grid& grid, const std::string& origin) {
  check_reference(grid, origin);
  check_held_out(grid, origin);
  std::map<std::string, std::vector<int64_t>> shapes;  // cells have few sources
  for (const auto& cell : grid.cells) {
    told_with(fmt::format("{}: cell '{}'", origin, cell.name), [&] {
      const auto& source = cell.config.data.source;
      core::about_key({"data.source"}, [&] {
        if (!shapes.contains(source)) {
          shapes[source] = row_shape_of(data::parse_source(source));
        }
      });
      ddpm::check_model(cell.config, shapes[source]);
      double row_bytes = sizeof(float);
      for (const int64_t size : shapes[source]) {
        row_bytes *= static_cast<double>(size);
      }
      require_memory({"train.batch_size"}, cell.config.train.batch_size, row_bytes);
      require_memory({"sample.micro_batch"}, cell.config.sample.micro_batch, row_bytes);
      require_memory({"likelihood.micro_batch"}, grid.likelihood.micro_batch, row_bytes);
    });
  }
}

JobCost cost_of(const Grid& grid, size_t index) {
  const auto& cell = grid.cells.at(index);
  const auto& config = cell.config;
  const auto rows = [](int64_t a, int64_t b) { return static_cast<double>(a) * static_cast<double>(b); };
  const int64_t chain = config.process.steps;
  JobCost cost;
  cost.sampling = rows(grid.score.num, config.sample.steps > 0 ? config.sample.steps : chain);
  if (cell.owner == index) {
    cost.training = 3 * rows(config.train.loop.steps, config.train.batch_size);
  }
  const bool own_bound =
      cell.owner == index || config.sample.weights != grid.cells[cell.owner].config.sample.weights;
  if (!grid.likelihood.data.empty() && own_bound) {
    cost.likelihood = rows(examples_in(data::parse_source(grid.likelihood.data)),
                           grid.likelihood.strata > 0 ? grid.likelihood.strata : chain);
  }
  return cost;
}

}  // namespace ddpm_eval::eval
