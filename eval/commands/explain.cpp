#include "eval/explain.h"

#include "eval/output.h"
#include "eval/score_options.h"

#include <CLI/CLI.hpp>

namespace ddpm_eval::eval {

void add_explain_command(CLI::App& program, Session& session) {
  auto* command = program.add_subcommand(
      "explain", "The same images scored by several tools' conventions, and why they differ");
  auto options = std::make_shared<ExplainOptions>();
  command->add_option("--real", options->real, "Reference: a source of images")->required();
  command->add_option("--fake", options->fake, "What is scored: a source of images")->required();
  command->add_option("--presets", options->presets, "Names of presets, several by commas. Default: all")
      ->delimiter(',')
      ->option_text("LIST");
  command->add_option("--weights", options->weights, "File of the FID Inception's weights (.pth)");
  command->add_flag("--strict", options->strict, "An unreadable image is an error, not a warning");
  auto json = std::make_shared<std::string>();
  add_json_option(*command, *json);
  command->callback([options, json, &session] {
    session.shared = true;
    session.action = [options, json, &session] {
      ScoreOptions sides;
      sides.real = options->real;
      sides.fake = options->fake;
      sides.weights = options->weights;
      require_own_place(*json, sides);
      require_json_target(*json);
      const auto record = explain_presets(*options, session);
      if (!write_json(*json, record)) {
        print_explanation(record);
      }
    };
  });
}

}  // namespace ddpm_eval::eval
