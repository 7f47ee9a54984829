#include "eval/output.h"

#include "base/core/file_io.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {

void add_json_option(CLI::App& command, std::string& target) {
  command.add_option("--json", target,
                     "Write the record with its full context to this file; - is standard output");
}

void add_weights_options(CLI::App& command, std::string& weights, bool& last) {
  auto* word =
      command
          .add_option("--weights", weights,
                      "ema: the average over the training; last: of the last step; best: the average "
                      "that scored best while it was trained")
          ->capture_default_str();
  command.add_flag("--last-weights", last, "The same as --weights last")->excludes(word);
}

void require_json_target(const std::string& target) {
  if (!target.empty() && target != "-") {
    core::require_writable(target);
  }
}

bool write_json(const std::string& target, const core::Json& record) {
  if (target.empty()) {
    return false;
  }
  if (target == "-") {
    fmt::print("{}", core::record_text(record));
    return true;
  }
  core::write_record(target, record);
  return false;
}

}  // namespace ddpm_eval::eval
