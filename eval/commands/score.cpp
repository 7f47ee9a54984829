#include "eval/score_options.h"

#include <CLI/CLI.hpp>

namespace ddpm_eval::eval {

void add_score_command(CLI::App& program, Session& session) {
  auto* command = program.add_subcommand(
      "score", "Every score that suits the data, from one pass: FID and IS, or 2-D distances");
  auto options = std::make_shared<ScoreOptions>();
  options->inception_score = true;
  options->allow_points = true;
  add_score_options(*command, *options, SidesNeeded::kBoth);
  add_frechet_options(*command, *options);
  add_scoring_command(*command, options, session);
}

}  // namespace ddpm_eval::eval
