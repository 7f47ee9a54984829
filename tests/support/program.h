#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace ddpm_eval::testing {

/// How a run of the program ended.
struct ProgramResult {
  int exit_code = -1;  ///< 128 + n if signal n ended it
  std::string out;     ///< standard output
  std::string err;     ///< standard error
};

struct ProgramOptions {
  std::vector<std::string> environment{};     ///< added to the test's own; "NAME" alone: taken from it
  std::filesystem::path working_folder{};     ///< empty: the test's own
  std::filesystem::path standard_output{};    ///< where it goes; empty: into ProgramResult::out
  bool interrupted_before_start = false;      ///< SIGINT is pending when the program begins
  std::string interrupt_once_said{};          ///< SIGINT as soon as this is on standard error; empty: never
  std::function<bool(int)> interrupt_when{};  ///< SIGINT as soon as this is true of the process
  std::filesystem::path interrupt_once_there{};  ///< SIGINT as soon as this file is there; empty: never
};

/// Runs ddpm-eval (`$DDPM_EVAL_BINARY`, set by ctest) with one thread unless the arguments say otherwise or
/// end in a call for help.
ProgramResult run_program(const std::vector<std::string>& arguments, const ProgramOptions& options = {});

/// Asserts that standard error ends in exactly one line "ddpm-eval: error: ..." and returns it; empty if not.
std::string error_line(const ProgramResult& result);

/// Asserts that the program refuses these arguments with that exit code and nothing on standard output, and
/// returns its error_line().
std::string refusal(const std::vector<std::string>& arguments, int exit_code);

}  // namespace ddpm_eval::testing
