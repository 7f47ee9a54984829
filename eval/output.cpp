#include "eval/output.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/tensor/process_group.h"

#include <cstdio>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {

void add_json_option(CLI::App& command, std::string& target) {
  command.add_option("--json", target,
                     "Write the record with its full context to this file; - is standard output");
}

bool writes_output() { return tensor::process_group().is_first(); }

core::Json shared_record(const core::Json& of_first) {
  const auto text = tensor::process_group().from_first(core::json_text(of_first));
  return writes_output() ? of_first : core::Json::parse(text);  // JSON has no infinity
}

void require_writable_output(const std::filesystem::path& target) {
  if (writes_output()) {
    core::require_writable(target);
  }
}

void require_json_target(const std::string& target) {
  if (!target.empty() && target != "-") {
    require_writable_output(target);
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
  if (!target.empty() && writes_output()) {
    core::write_file(target, text);
  }
  return false;
}

bool write_json(const std::string& target, const core::Json& record) {
  return !target.empty() && write_output("--json", target, core::record_text(record));
}

}  // namespace ddpm_eval::eval
