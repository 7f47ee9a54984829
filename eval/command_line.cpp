#include "eval/command_line.h"

#include "base/core/file_io.h"
#include "base/core/text.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

class HelpFormatter final : public CLI::Formatter {
 public:
  std::string make_footer(const CLI::App* app) const override {
    const CLI::App* program = app;
    while (program->get_parent() != nullptr) {
      program = program->get_parent();
    }
    std::string text = CLI::Formatter::make_footer(app);
    if (program != app) {
      const auto is_global = [&](const CLI::Option* option) {
        return option != program->get_help_ptr() && option != program->get_version_ptr();
      };
      text +=
          make_group("Options of every command", /*is_positional=*/false, program->get_options(is_global));
      text.erase(0, text.find_first_not_of('\n'));  // make_help() has left a line empty
    }
    return text;
  }
};

/// The innermost command that was given, or the program.
const CLI::App& innermost(const CLI::App& program) {
  const CLI::App* command = &program;
  while (!command->get_subcommands().empty()) {
    command = command->get_subcommands().front();
  }
  return *command;
}

/// "data " for the commands below `data`, nothing for those of the program.
std::string prefix_of(const CLI::App& command) {
  return command.get_parent() == nullptr ? std::string() : command.get_name() + " ";
}

template <class Number>
std::string out_of_range() {
  return fmt::format("expected a whole number from {} to {}", std::numeric_limits<Number>::min(),
                     std::numeric_limits<Number>::max());
}

/// What is wrong with a value that the parser has taken, read as it reads.
std::optional<std::string> problem_of(const std::string& type, const std::string& value) {
  errno = 0;
  if (value.empty()) {
    return "the value is empty";
  }
  if (type == "UINT" && (std::strtoull(value.c_str(), nullptr, 0), errno == ERANGE || value[0] == '-')) {
    return out_of_range<uint64_t>();
  }
  if (type == "INT" && (std::strtoll(value.c_str(), nullptr, 0), errno == ERANGE)) {
    return out_of_range<int64_t>();
  }
  return std::nullopt;
}

/// Whether it names what is written, to a place that is not standard output: of those that may be it, - is.
bool is_output(const CLI::App& command, const CLI::Option& option) {
  const auto name = option.get_name();
  return name == "--out" || name == "--strip" || name == "--gif" ||
         (name == "--grid" && command.get_name() == "sample");
}

/// `above`: the words before the command's own, as the parser hands them on.
void write_help_below(const CLI::App& command, const std::string& above,
                      const std::filesystem::path& folder) {
  const std::string words = above.empty() ? command.get_name() : above + " " + command.get_name();
  core::write_file(folder / words, command.help(above));
  for (const auto* below : command.get_subcommands({})) {
    write_help_below(*below, words, folder);
  }
}

std::vector<std::string> names_below(const CLI::App& command) {
  std::vector<std::string> names;
  for (const auto* below : command.get_subcommands({})) {
    names.push_back(prefix_of(command) + below->get_name());
  }
  return names;
}

}  // namespace

void show_global_options_in_help(CLI::App& program) { program.formatter(std::make_shared<HelpFormatter>()); }

void write_help(const CLI::App& program, const std::filesystem::path& folder) {
  core::make_folders(folder);
  core::write_file(folder / "version", program.version() + "\n");
  write_help_below(program, "", folder);
}

std::optional<std::string> unknown_command(const CLI::App& program) {
  const auto& command = innermost(program);
  const auto names = names_below(command);
  const auto unread = program.remaining(/*recurse=*/true);
  if (names.empty() || unread.empty() || unread.front().starts_with("-")) {
    return std::nullopt;
  }
  const auto word = prefix_of(command) + unread.front();
  const auto hint = core::did_you_mean(word, names);
  return fmt::format("unknown command '{}'{}", word,
                     hint.empty() ? "; choose " + core::join_or(names) : hint);
}

std::optional<std::string> unknown_option(const CLI::App& program) {
  const auto unread = program.remaining(/*recurse=*/true);
  const auto word = std::ranges::find_if(
      unread, [](const std::string& one) { return one.size() > 1 && one.starts_with('-'); });
  if (word == unread.end()) {
    return std::nullopt;
  }
  const auto& command = innermost(program);
  std::vector<std::string> known;
  std::string words;
  for (const CLI::App* app = &command; app != nullptr; app = app->get_parent()) {
    words = prefix_of(*app) + words;
    for (const auto* option : app->get_options()) {
      for (const auto& name : option->get_lnames()) {
        known.push_back("--" + name);
      }
    }
  }
  const auto flag = word->substr(0, word->find('='));
  return fmt::format("unknown option '{}'{}{}", flag,
                     words.empty() ? "" : " of " + words.substr(0, words.size() - 1),
                     core::did_you_mean(flag, known));
}

std::optional<std::string> command_problem(const CLI::App& program) {
  if (auto unknown = unknown_command(program)) {
    return unknown;
  }
  if (auto unknown = unknown_option(program)) {
    return unknown;
  }
  const auto& command = innermost(program);
  const auto names = names_below(command);
  if (names.empty()) {
    return std::nullopt;
  }
  return command.get_parent() == nullptr ? "a command is needed"
                                         : fmt::format("a command is needed: {}", core::join_or(names));
}

std::optional<std::string> value_problem(const CLI::App& program) {
  for (const auto* option : program.get_options()) {
    for (const auto& value : option->results()) {
      if (const auto problem = problem_of(option->get_type_name(), value)) {
        return fmt::format("{}{}{}: {}", option->get_name(), value.empty() ? "" : " ", value, *problem);
      }
      if (value == "-" && is_output(program, *option)) {
        return fmt::format(
            "{} -: nothing goes to standard output by it; name a file or folder, or ./- if that is its name",
            option->get_name());
      }
    }
  }
  for (const auto* command : program.get_subcommands()) {
    if (auto problem = value_problem(*command)) {
      return problem;
    }
  }
  return std::nullopt;
}

}  // namespace ddpm_eval::eval
