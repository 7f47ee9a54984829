#include "eval/report/report.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "eval/ablation/grid.h"
#include "eval/command.h"
#include "eval/console.h"
#include "eval/distinct_files.h"
#include "eval/gnuplot.h"
#include "eval/name_ending.h"
#include "eval/run_files.h"

#include <filesystem>

#include <CLI/CLI.hpp>

namespace ddpm_eval::eval {
namespace {

/// What the page must not be written over.
std::vector<FlagFile> report_inputs(const std::filesystem::path& path) {
  auto inputs = files_of_run("the report", path);
  for (const char* name : {kScoreFile, kGridFile}) {
    inputs.push_back({"the report", path / name});
  }
  for (const char* name : kGridFiles) {
    inputs.push_back({"the report", path / name});
  }
  inputs.push_back({"the report", path});
  return inputs;
}

}  // namespace

void add_report_command(CLI::App& program, Session& session) {
  auto* command = program.add_subcommand(
      "report",
      "A self-contained HTML page of a run, an ablation grid, a score or a history of measurements");
  struct Options {
    std::filesystem::path path;
    std::filesystem::path out;
  };
  auto options = std::make_shared<Options>();
  command
      ->add_option(
          "path", options->path,
          "The folder of a run or a grid; a .json record of `score` or `nll`; a .jsonl file of a history, or "
          "a folder of such")
      ->required();
  command->add_option("--out", options->out,
                      "The page to write; default: index.html in the folder, NAME.html beside a file");
  command->callback([options, &session] {
    session.action = [options] {
      const auto target = options->out.empty() ? default_page(options->path) : options->out;
      require_distinct({{"--out", target}}, report_inputs(options->path));
      // A folder of a run, a grid or a history has more inputs than can be named: samples, records, lines.
      require_ending("--out", target, {".html", ".htm"});
      if (!options->out.empty()) {
        core::require_writable(target);
      }
      const auto page = make_report(options->path, target);
      if (page.lacks_plots) {
        print_warning(fmt::format("{}: no plots: {}", target.string(), kNoGnuplot));
      }
      core::write_file(target, page.html);
      print_line("{}", target.string());
    };
  });
}

}  // namespace ddpm_eval::eval
