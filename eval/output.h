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

/// The options that name weights of a run: --weights ema|last|best, and --last-weights for the second.
void add_weights_options(CLI::App& command, std::string& weights, bool& last);

/// Throws ResourceError if the record could not be written to `target`: to be asked before the work.
void require_json_target(const std::string& target);

/// Writes `record` to `target`: nothing if empty, standard output if "-", else a file (atomically). True if
/// standard output now holds the record, so that nothing else may be printed there.
bool write_json(const std::string& target, const core::Json& record);

}  // namespace ddpm_eval::eval
