#include "eval/explain.h"

#include "eval/distinct_files.h"
#include "eval/output.h"

#include <CLI/CLI.hpp>

namespace ddpm_eval::eval {
namespace {

void require_own_place(const std::string& json, const ExplainOptions& options) {
  std::vector<FlagFile> inputs = {{"--weights", options.weights}};
  for (const auto& [flag, source] : {std::pair{"--real", options.real}, {"--fake", options.fake}}) {
    const auto files = source_files(flag, source);
    inputs.insert(inputs.end(), files.begin(), files.end());
  }
  require_distinct({{"--json", json}}, inputs);
}

}  // namespace

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
    session.action = [options, json, &session] {
      require_own_place(*json, *options);
      require_json_target(*json);
      const auto record = explain_presets(*options, session);
      if (!write_json(*json, record)) {
        print_explanation(record);
      }
    };
  });
}

}  // namespace ddpm_eval::eval
