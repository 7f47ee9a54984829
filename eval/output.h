#pragma once

#include "base/core/record.h"

#include <string>

#include <nlohmann/json_fwd.hpp>

namespace CLI {
class App;
}

namespace ddpm_eval::eval {

/// The option that every command with a result has: --json FILE, or --json - for standard output.
void add_json_option(CLI::App& command, std::string& target);

/// Throws ResourceError if the record could not be written to `target`: to be asked before the work.
void require_json_target(const std::string& target);

/// Writes `text` to `target`: nothing if empty, standard output if "-", else a file (atomically). True if
/// standard output now holds it, so that nothing else may be printed there. Throws ResourceError naming what
/// asked for it where that cannot be written.
bool write_output(const char* flag, const std::string& target, const std::string& text);

/// The same of a record.
bool write_json(const std::string& target, const core::Json& record);

}  // namespace ddpm_eval::eval
