#include "base/core/error.h"
#include "eval/ablation/grid_results.h"
#include "eval/ablation/grid_runner.h"
#include "eval/ablation/grid_worker.h"
#include "eval/command.h"
#include "eval/console.h"
#include "eval/distinct_files.h"
#include "eval/output.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

struct AblateOptions {
  std::filesystem::path grid;
  std::filesystem::path out;
  int jobs = 0;
  bool dry_run = false;
  bool worker = false;
  std::string json;
};

/// Throws the error of the first job that has failed, with the number of them.
void require_no_failure(const GridFolder& folder) {
  size_t failed = 0;
  std::optional<core::Error> first;
  for (const auto& job : folder.jobs()) {
    const auto failure = folder.record(job) ? std::nullopt : folder.failure(job);
    if (!failure) {
      continue;
    }
    ++failed;
    if (!first) {
      first.emplace(
          static_cast<core::ExitCode>(failure->value("code", 1)),
          fmt::format("{}, seed {}: {} (more in {})", folder.grid().cells[job.cell].name, job.seed,
                      failure->value("message", ""), (folder.job_folder(job) / kJobLogFile).string()));
    }
  }
  if (first) {
    throw core::Error(first->code(),
                      fmt::format("{} of {} jobs failed; {}", failed, folder.jobs().size(), first->what()));
  }
}

void run_ablate(const AblateOptions& options, const Session& session) {
  if (options.worker) {
    run_grid_worker(options.out, session);
    return;
  }
  if (options.grid.empty()) {
    throw core::UsageError("ablate: --grid is needed: a TOML file; see configs/");
  }
  if (options.dry_run) {
    const auto grid = read_grid_file(options.grid);
    parallelism_of(grid, options.jobs, session.threads);
    fmt::print("{}", describe_cells(grid));
    return;
  }
  if (options.out.empty()) {
    throw core::UsageError("ablate: --out is needed: the folder of the grid's results");
  }
  std::vector<FlagFile> outputs = {{"--json", options.json}};
  for (const char* name : {"grid.toml", "base.toml", "table.json", "table.md", "table.csv", "table.tex"}) {
    outputs.push_back({"--out", options.out / name});
  }
  require_distinct(outputs);
  require_json_target(options.json);
  const auto parallelism = parallelism_of(read_grid_file(options.grid), options.jobs, session.threads);
  const auto folder = GridFolder::create(options.out, options.grid);
  run_grid(folder, parallelism, session);
  const auto table = write_grid_tables(folder);
  if (!write_json(options.json, table)) {
    fmt::print("{}", table_markdown(table));
    print_line("Table as Markdown, CSV, LaTeX and JSON: {}", (options.out / "table.md").string());
  }
  require_no_failure(folder);
}

}  // namespace

void add_ablate_command(CLI::App& program, Session& session) {
  auto* command = program.add_subcommand(
      "ablate", "Train, sample and score the cells of a grid from several seeds, and tabulate them");
  auto options = std::make_shared<AblateOptions>();
  command->add_option("--grid", options->grid, "A TOML file; see configs/");
  command->add_option(
      "--out", options->out,
      "The folder of the results; what is there is gone on with, also by several machines at once");
  command->add_option("--jobs", options->jobs, "Jobs at a time; 0: as many as fit the processors")
      ->capture_default_str();
  command->add_flag("--dry-run", options->dry_run, "Print the cells and what they take; no work");
  command->add_flag("--worker", options->worker)->group("");  // a process of the command itself
  add_json_option(*command, options->json);

  auto* status = command->add_subcommand("status", "The state of a grid's jobs");
  auto folder = std::make_shared<std::filesystem::path>();
  status->add_option("folder", *folder, "The folder of the results")->required();
  status->callback([folder, &session] {
    session.action = [folder] { fmt::print("{}", describe_status(GridFolder::open(*folder))); };
  });
  command->callback([options, status, &session] {
    if (!status->parsed()) {
      session.action = [options, &session] { run_ablate(*options, session); };
    }
  });
}

}  // namespace ddpm_eval::eval
