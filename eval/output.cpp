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

bool write_output(const char* flag, const std::string& target, const std::string& text) {
  if (target == "-") {
    fmt::print("{}", text);
    if (std::fflush(stdout) != 0) {
      throw core::ResourceError("{} -: standard output could not be written", flag);
    }
    return true;
  }
  if (!target.empty()) {
    core::write_file(target, text);
  }
  return false;
}

bool write_json(const std::string& target, const core::Json& record) {
  return !target.empty() && write_output("--json", target, core::record_text(record));
}

}  // namespace ddpm_eval::eval
