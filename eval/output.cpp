#include "eval/output.h"

#include "base/core/error.h"
#include "base/core/file_io.h"

#include <cstdio>

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
    if (std::fflush(stdout) != 0) {
      throw core::ResourceError("--json -: standard output could not be written");
    }
    return true;
  }
  core::write_record(target, record);
  return false;
}

}  // namespace ddpm_eval::eval
