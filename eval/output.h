#pragma once

#include "base/core/record.h"

#include <filesystem>
#include <string>

#include <nlohmann/json_fwd.hpp>

namespace CLI {
class App;
}

namespace ddpm_eval::eval {

/// The option that every command with a result has: --json FILE, or --json - for standard output.
void add_json_option(CLI::App& command, std::string& target);

/// Whether this process writes files: of several that share a command the first one alone does.
bool writes_output();

/// The first process' record on all: it alone has all that belongs there.
core::Json shared_record(const core::Json& of_first);

/// Throws ResourceError if this process is to write `target` and cannot: to be asked before the work.
void require_writable_output(const std::filesystem::path& target);

/// Throws ResourceError if the record could not be written to `target`: to be asked before the work.
void require_json_target(const std::string& target);

/// Writes `text` to `target`: nothing if empty, standard output if "-", else a file (atomically)
/// if this process writes_output(). True if
/// standard output now holds it, so that nothing else may be printed there. Throws ResourceError naming what
/// asked for it where that cannot be written.
bool write_output(const char* flag, const std::string& target, const std::string& text);

/// The same of a record.
bool write_json(const std::string& target, const core::Json& record);

}  // namespace ddpm_eval::eval
