#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace CLI {
class App;
}

namespace ddpm_eval::eval {

/// Makes the help of every command that is added from now on end with the options of `program` itself.
void show_global_options_in_help(CLI::App& program);

/// Writes what `--help` and `--version` print, of `program` and of every command below it, into `folder`: a
/// file named by the words of each call ("ddpm-eval data list"), and "version". Throws ResourceError.
void write_help(const CLI::App& program, const std::filesystem::path& folder);

/// After a parse that failed: what to say of the first option that the command does not have, with the
/// nearest that it has; nothing if there is none.
std::optional<std::string> unknown_option(const CLI::App& program);

/// After a parse of which help was asked or which failed: what to say if a command is missing or has a name
/// that is not known ("data lst"), with the nearest known one or, failing that, all, or if an option is not
/// known; nothing if the command line names a command and options that there are.
std::optional<std::string> command_problem(const CLI::App& program);

/// Like command_problem(), but a command that is merely missing is no problem: for a call for help.
std::optional<std::string> unknown_command(const CLI::App& program);

/// After a parse that went well: what to say if a given value is empty, a whole number beyond what its option
/// holds, which the parser takes for 0 or wraps around, or a - where nothing goes to standard output; nothing
/// if all is well.
std::optional<std::string> value_problem(const CLI::App& program);

}  // namespace ddpm_eval::eval
