#include "eval/score_options.h"

#include <CLI/CLI.hpp>

namespace ddpm_eval::eval {

void add_fid_command(CLI::App& program, Session& session) {
  auto* command = program.add_subcommand("fid", "Frechet Inception distance between two sets of images");
  auto options = std::make_shared<ScoreOptions>();
  options->wanted.frechet = true;
  add_score_options(*command, *options, SidesNeeded::kBoth);
  add_yardstick_option(*command, *options);
  add_frechet_options(*command, *options);
  add_interval_option(*command, *options);
  add_class_option(*command, *options);
  add_scoring_command(*command, options, session);
}

}  // namespace ddpm_eval::eval
