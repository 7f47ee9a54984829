#include "eval/score_options.h"

#include <CLI/CLI.hpp>

namespace ddpm_eval::eval {

void add_score_command(CLI::App& program, Session& session) {
  auto* command = program.add_subcommand(
      "score", "Several scores from one pass: FID, IS, KID, precision and recall; or 2-D distances");
  auto options = std::make_shared<ScoreOptions>();
  options->allow_points = true;
  add_score_options(*command, *options, SidesNeeded::kByScores);
  add_metrics_option(*command, *options);
  add_yardstick_option(*command, *options);
  add_frechet_options(*command, *options);
  add_interval_option(*command, *options);
  add_kernel_options(*command, *options);
  add_neighbour_options(*command, *options);
  add_class_option(*command, *options);
  add_repeats_option(*command, *options);
  add_scoring_command(*command, options, session);
}

}  // namespace ddpm_eval::eval
