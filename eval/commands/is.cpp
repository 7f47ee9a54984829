#include "eval/score_options.h"

#include <CLI/CLI.hpp>

namespace ddpm_eval::eval {

void add_is_command(CLI::App& program, Session& session) {
  auto* command = program.add_subcommand("is", "Inception Score of a set of images");
  auto options = std::make_shared<ScoreOptions>();
  options->wanted.inception_score = true;
  add_score_options(*command, *options, SidesNeeded::kFake);
  add_interval_option(*command, *options);
  add_scoring_command(*command, options, session);
}

}  // namespace ddpm_eval::eval
