#include "eval/ablation/grid_results.h"

#include "base/core/file_io.h"
#include "base/core/record.h"
#include "eval/ablation/grid_check.h"

#include <algorithm>

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

using core::Json;

/// 3840000 -> "3.84 M".
std::string scaled(double rows) {
  for (const auto& [unit, name] : {std::pair(1e9, " G"), std::pair(1e6, " M"), std::pair(1e3, " k")}) {
    if (rows >= unit) {
      return fmt::format("{:.3g}{}", rows / unit, name);
    }
  }
  return rows > 0 ? fmt::format("{:.0f}", rows) : std::string("-");
}

}  // namespace

std::string settings_text(const GridCell& cell) {
  std::string text;
  for (const auto& setting : cell.settings) {
    text += fmt::format("{}{} = {}", text.empty() ? "" : ", ", setting.key, setting.value);
  }
  return text;
}

std::vector<std::vector<JobOutcome>> collect_outcomes(const GridFolder& folder) {
  std::vector<std::vector<JobOutcome>> outcomes(folder.grid().cells.size());
  for (const auto& job : folder.jobs()) {  // seed by seed, so that each cell's come in order
    JobOutcome outcome;
    if (const auto* record = folder.record(job)) {
      outcome.record = *record;
    } else {
      const GridJob owner{folder.grid().cells[job.cell].owner, job.seed};
      for (const auto& one : {job, owner}) {
        if (const auto failure = folder.failure(one); failure && outcome.failure.empty()) {
          outcome.failure = failure->value("message", "for a reason that is not known");
        }
      }
    }
    outcomes[job.cell].push_back(std::move(outcome));
  }
  return outcomes;
}

Json write_grid_tables(const GridFolder& folder) {
  auto table = make_grid_table(folder.grid(), collect_outcomes(folder));
  core::write_record(folder.path() / "table.json", table);
  core::write_file(folder.path() / "table.md", table_markdown(table));
  core::write_file(folder.path() / "table.csv", table_csv(table));
  core::write_file(folder.path() / "table.tex", table_latex(table));
  return table;
}

std::string describe_cells(const Grid& grid) {
  size_t width = 4;
  for (const auto& cell : grid.cells) {
    width = std::max(width, cell.name.size());
  }
  std::string text = fmt::format("{:<{}}  {:>10}  {:>10}  {:>10}  settings\n", "cell", width, "training",
                                 "sampling", "likelihood");
  double total = 0;
  for (size_t i = 0; i < grid.cells.size(); ++i) {
    const auto& cell = grid.cells[i];
    const auto cost = cost_of(grid, i);
    total += cost.training + cost.sampling + cost.likelihood;
    const auto training = cell.owner == i ? scaled(cost.training) : std::string("shared");
    text += fmt::format("{:<{}}  {:>10}  {:>10}  {:>10}  {}\n", cell.name, width, training,
                        scaled(cost.sampling), scaled(cost.likelihood), settings_text(cell));
  }
  const auto seeds = static_cast<double>(grid.seeds.size());
  text += fmt::format(
      "{} cells, {} seeds, {} steps each: {} of rows through the network in all, a training step's row "
      "counted three "
      "times\n",
      grid.cells.size(), grid.seeds.size(), grid.budget.steps, scaled(seeds * total));
  return text;
}

}  // namespace ddpm_eval::eval
