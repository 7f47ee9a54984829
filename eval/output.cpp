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
