#include "base/core/file_io.h"
#include "eval/command.h"
#include "eval/console.h"
#include "eval/distinct_files.h"
#include "eval/report_page.h"
#include "eval/run_files.h"

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
      auto inputs = files_of_run("the run", options->folder);
      for (const char* name : {kScoreFile, kGridFile}) {
        inputs.push_back({"the run", options->folder / name});
      }
      require_distinct({{"--out", target}}, inputs);
      core::write_file(target, render_run_page(options->folder));
      print_line("{}", target.string());
    };
  });
}

}  // namespace ddpm_eval::eval
