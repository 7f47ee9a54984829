#include "base/core/file_io.h"
#include "base/training/checkpoint.h"
#include "eval/command.h"
#include "eval/console.h"
#include "eval/distinct_files.h"
#include "eval/report_page.h"

#include <filesystem>

#include <CLI/CLI.hpp>

namespace ddpm_eval::eval {

void add_report_command(CLI::App& program, Session& session) {
  auto* command =
      program.add_subcommand("report", "A self-contained HTML page of a run's scores, samples and log");
  struct Options {
    std::filesystem::path folder;
    std::filesystem::path out;
  };
  auto options = std::make_shared<Options>();
  command->add_option("folder", options->folder, "The run")->required();
  command->add_option("--out", options->out, "The page to write; default: index.html in the folder");
  command->callback([options, &session] {
    session.action = [options] {
      const auto target = options->out.empty() ? options->folder / "index.html" : options->out;
      require_distinct({{"--out", target}}, {{"the run", options->folder / training::kCheckpointFile},
                                             {"the run", options->folder / "log.jsonl"},
                                             {"the run", options->folder / "run.json"},
                                             {"the run", options->folder / "score.json"},
                                             {"the run", options->folder / "grid.png"}});
      core::write_file(target, render_run_page(options->folder));
      print_line("{}", target.string());
    };
  });
}

}  // namespace ddpm_eval::eval
