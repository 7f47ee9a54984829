#include "base/core/error.h"
#include "eval/ablation/grid_check.h"
#include "eval/ablation/grid_results.h"
#include "eval/ablation/grid_runner.h"
#include "eval/ablation/grid_status.h"
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
  int64_t jobs = 0;
  bool dry_run = false;
  bool worker = false;
  std::string json;
};

/// Throws the error of the first job that has failed, with the number of them.
void require_no_failure(const GridFolder& folder) {
  size_t failed = 0;
  std::optional<core::Error> first;
  for (const auto& job : folder.jobs()) {
    const auto failure = folder.record(job) != nullptr ? std::nullopt : folder.failure(job);
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

struct CheckedGrid {
  Grid grid;
  GridParallelism parallelism;
};

/// Whatever can be told of the request before any work.
CheckedGrid read_checked_grid(const AblateOptions& options, const Session& session) {
  auto grid = read_grid_file(options.grid);
  const auto parallelism = parallelism_of(grid, options.jobs, session.threads);
  check_grid(grid, options.grid.string());
  return {std::move(grid), parallelism};
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
    const auto grid = read_checked_grid(options, session).grid;
    if (options.out.empty()) {
      fmt::print("{}", describe_cells(grid));
      return;
    }
    const auto folder = GridFolder::plan(options.out, options.grid);
    fmt::print("{}", describe_cells(folder.grid()));
    if (std::filesystem::exists(options.out)) {
      fmt::print("\nIn {}:\n{}", options.out.string(), describe_status(grid_status(folder)));
    }
    return;
  }
  if (options.out.empty()) {
    throw core::UsageError("ablate: --out is needed: the folder of the grid's results");
  }
  std::vector<FlagFile> outputs = {{"--json", options.json}};
  for (const char* name : kGridFiles) {
    outputs.push_back({"--out", options.out / name});
  }
  require_distinct(outputs);
  require_json_target(options.json);
  const auto parallelism = read_checked_grid(options, session).parallelism;
  const auto folder = GridFolder::create(options.out, options.grid);
  run_grid(folder, parallelism, session);
  const auto table = write_grid_tables(folder);
  if (!write_json(options.json, table)) {
    fmt::print("{}", table_markdown(table));
    print_line("Table as Markdown, CSV, LaTeX and JSON: {}", (options.out / "table.md").string());
  }
  require_no_failure(folder);
}

struct StatusOptions {
  std::filesystem::path folder;
  std::string json;
};

void run_status(const StatusOptions& options) {
  if (options.folder.empty()) {
    throw core::UsageError("ablate status: names no folder; it is the --out of the grid");
  }
  std::vector<FlagFile> inputs;
  for (const char* name : kGridFiles) {
    inputs.push_back({"folder", options.folder / name});
  }
  require_distinct({{"--json", options.json}}, inputs);
  require_json_target(options.json);
  const auto status = grid_status(GridFolder::open(options.folder));
  if (!write_json(options.json, status)) {
    fmt::print("{}", describe_status(status));
  }
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
  command->add_flag("--dry-run", options->dry_run,
                    "Print the cells and what they take, with --out also what is done; no work");
  command->add_flag("--worker", options->worker)->group("");  // a process of the command itself
  add_json_option(*command, options->json);

  auto* status = command->add_subcommand("status", "The state of a grid's jobs");
  auto asked = std::make_shared<StatusOptions>();
  status->add_option("folder", asked->folder, "The folder of the results");
  add_json_option(*status, asked->json);
  status->callback([asked, &session] { session.action = [asked] { run_status(*asked); }; });
  command->callback([options, status, &session] {
    if (!status->parsed()) {
      session.spread = !options->worker;
      session.action = [options, &session] { run_ablate(*options, session); };
    }
  });
}

}  // namespace ddpm_eval::eval
