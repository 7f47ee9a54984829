#include "eval/score_options.h"

#include <CLI/CLI.hpp>

namespace ddpm_eval::eval {

void add_kid_command(CLI::App& program, Session& session) {
  auto* command = program.add_subcommand("kid", "Kernel Inception distance between two sets of images");
  auto options = std::make_shared<ScoreOptions>();
  options->wanted.kernel = true;
  add_score_options(*command, *options, SidesNeeded::kBothImages);
  add_yardstick_option(*command, *options);
  add_interval_option(*command, *options);
  add_kernel_options(*command, *options);
  add_scoring_command(*command, options, session);
}

}  // namespace ddpm_eval::eval
