#include "eval/score_options.h"

#include <CLI/CLI.hpp>

namespace ddpm_eval::eval {

void add_prdc_command(CLI::App& program, Session& session) {
  auto* command =
      program.add_subcommand("prdc", "Precision, recall, density and coverage between two sets of images");
  auto options = std::make_shared<ScoreOptions>();
  options->wanted.neighbours = true;
  add_score_options(*command, *options, SidesNeeded::kBothImages);
  add_yardstick_option(*command, *options);
  add_interval_option(*command, *options);
  add_neighbour_options(*command, *options);
  add_scoring_command(*command, options, session);
}

}  // namespace ddpm_eval::eval
