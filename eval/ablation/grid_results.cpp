#include "eval/ablation/grid_results.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/record.h"
#include "eval/console.h"

#include <array>
#include <map>

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;
using core::Json;

/// Step of the last whole line of a log, if there is one.
std::optional<int64_t> last_logged_step(const fs::path& log) {
  std::error_code error;
  if (!fs::exists(log, error)) {
    return std::nullopt;
  }
  const auto text = core::read_text(log, uint64_t{1} << 30);
  std::optional<int64_t> step;
  for (size_t end = text.rfind('\n'); end != std::string::npos && end > 0 && !step;) {
    const size_t before = text.rfind('\n', end - 1);
    const size_t begin = before == std::string::npos ? 0 : before + 1;
    const auto line = core::parse_json(std::string_view(text).substr(begin, end - begin));
    if (core::has_integer(line, "step")) {
      step = line["step"].get<int64_t>();
    }
    end = before;
  }
  return step;
}

std::string state_word(JobState state) {
  switch (state) {
    case JobState::kWaiting:
      return "waiting";
    case JobState::kRunning:
      return "running";
    case JobState::kDone:
      return "done";
    case JobState::kDiverged:
      return "diverged";
    case JobState::kFailed:
      return "failed";
  }
  return {};
}

std::string job_detail(const GridFolder& folder, const GridJob& job, JobState state) {
  if (state == JobState::kDiverged) {
    return fmt::format("first bad step {}",
                       folder.record(job)->at("divergence").at("first_step").get<int64_t>());
  }
  if (state == JobState::kFailed) {
    return folder.failure(job).value_or(Json::object()).value("message", "");
  }
  if (state == JobState::kDone) {
    return duration_text(folder.record(job)->value("seconds", 0.0));
  }
  const auto& grid = folder.grid();
  const bool trains = grid.cells[job.cell].owner == job.cell;
  if (!trains && !folder.training(job)) {
    return fmt::format("needs the training of {}", grid.cells[grid.cells[job.cell].owner].name);
  }
  if (trains && folder.training(job)) {
    return "trained";
  }
  if (const auto step = last_logged_step(folder.job_folder(job) / "run" / "log.jsonl"); step && trains) {
    return fmt::format("step {} of {}", *step, grid.budget.steps);
  }
  return {};
}

/// 3840000 -> "3.84 M".
std::string scaled(double rows) {
  for (const auto& [unit, name] : {std::pair(1e9, " G"), std::pair(1e6, " M"), std::pair(1e3, " k")}) {
    if (rows >= unit) {
      return fmt::format("{:.3g}{}", rows / unit, name);
    }
  }
  return rows > 0 ? fmt::format("{:.0f}", rows) : std::string("-");
}

std::string settings_text(const GridCell& cell) {
  std::string text;
  for (const auto& setting : cell.settings) {
    text += fmt::format("{}{} = {}", text.empty() ? "" : ", ", setting.key, setting.value);
  }
  return text;
}

}  // namespace

std::vector<std::vector<JobOutcome>> collect_outcomes(const GridFolder& folder) {
  std::vector<std::vector<JobOutcome>> outcomes(folder.grid().cells.size());
  for (const auto& job : folder.jobs()) {  // seed by seed, so that each cell's come in order
    JobOutcome outcome;
    if (auto record = folder.record(job)) {
      outcome.record = std::move(*record);
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

std::string describe_status(const GridFolder& folder) {
  const auto& grid = folder.grid();
  std::string text;
  std::map<JobState, int> counts;
  std::array<double, 2> seconds{};  // of jobs that train, and of those that do not
  std::array<int, 2> done{};
  std::array<int, 2> left{};
  const auto jobs = folder.jobs();
  for (const auto& job : jobs) {
    const auto state = folder.state(job);
    ++counts[state];
    const size_t kind = grid.cells[job.cell].owner == job.cell ? 0 : 1;
    if (state == JobState::kDone) {
      seconds[kind] += folder.record(job)->value("seconds", 0.0);
      ++done[kind];
    } else if (state == JobState::kWaiting || state == JobState::kRunning) {
      ++left[kind];
    }
    text += fmt::format("{:<9} {}, seed {}", state_word(state), grid.cells[job.cell].name, job.seed);
    const auto detail = job_detail(folder, job, state);
    text += (detail.empty() ? "" : ": " + detail) + "\n";
  }
  text += fmt::format("{} of {} jobs done, {} diverged, {} running, {} waiting, {} failed",
                      counts[JobState::kDone], jobs.size(), counts[JobState::kDiverged],
                      counts[JobState::kRunning], counts[JobState::kWaiting], counts[JobState::kFailed]);
  double remaining = 0;
  bool known = true;
  for (size_t kind = 0; kind < 2; ++kind) {
    known = known && (left[kind] == 0 || done[kind] > 0);
    remaining += done[kind] > 0 ? left[kind] * seconds[kind] / done[kind] : 0;
  }
  const int together = std::max(1, counts[JobState::kRunning]);
  if (left[0] + left[1] > 0) {
    text += known ? fmt::format("; about {} left with {} at a time", duration_text(remaining / together),
                                together)
                  : std::string("; the time left is not known before a first job is done");
  }
  return text + "\n";
}

}  // namespace ddpm_eval::eval
