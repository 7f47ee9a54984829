#include "tests/support/program.h"

#include "tests/support/temp_dir.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ddpm_eval::testing {
namespace {

std::string slurp(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

[[noreturn]] void become_program(const std::vector<std::string>& arguments, const ProgramOptions& options,
                                 const std::filesystem::path& out, const std::filesystem::path& err) {
  ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO);
  ::dup2(::open(out.c_str(), O_WRONLY | O_CREAT, 0600), STDOUT_FILENO);
  ::dup2(::open(err.c_str(), O_WRONLY | O_CREAT, 0600), STDERR_FILENO);
  ::setenv("DDPM_EVAL_CACHE", "off", 1);  // nothing of a test stays, or comes from another
  for (const auto& variable : options.environment) {
    const size_t equals = variable.find('=');
    if (equals == std::string::npos) {
      ::unsetenv(variable.c_str());
      continue;
    }
    ::setenv(variable.substr(0, equals).c_str(), variable.c_str() + equals + 1, 1);
  }
  if (!options.working_folder.empty() && ::chdir(options.working_folder.c_str()) != 0) {
    ::_exit(126);
  }
  if (options.interrupted_before_start) {
    sigset_t held;
    ::sigemptyset(&held);
    ::sigaddset(&held, SIGINT);
    ::sigprocmask(SIG_BLOCK, &held, nullptr);
    ::raise(SIGINT);
  }
  std::vector<std::string> words = {std::getenv("DDPM_EVAL_BINARY")};
  words.insert(words.end(), arguments.begin(), arguments.end());
  const bool is_command = !arguments.empty() && !arguments.front().starts_with("-");
  const bool is_help = !arguments.empty() && (arguments.back() == "--help" || arguments.back() == "-h");
  if (is_command && !is_help &&
      std::find(arguments.begin(), arguments.end(), "--threads") == arguments.end()) {
    words.insert(words.end(), {"--threads", "1"});
  }
  std::vector<char*> argv;
  for (auto& word : words) {
    argv.push_back(word.data());
  }
  argv.push_back(nullptr);
  ::execv(argv[0], argv.data());
  ::_exit(127);
}

/// Leaves a record for tests/docs/record_schema_test.py, where ctest names a folder for that.
void leave_for_schema_test(const std::string& out) {
  const char* folder = std::getenv("DDPM_EVAL_TEST_RECORDS");
  if (folder != nullptr && out.starts_with("{\n  \"schema\": ")) {
    std::filesystem::create_directories(folder);
    const auto name = std::to_string(std::hash<std::string>()(out)) + ".json";
    std::ofstream(std::filesystem::path(folder) / name) << out;
  }
}

/// Whether it is time to interrupt; empty if it never is.
std::function<bool(int)> interrupt_of(const ProgramOptions& options, const std::filesystem::path& err) {
  if (options.interrupt_when) {
    return options.interrupt_when;
  }
  if (!options.interrupt_once_there.empty()) {
    return [file = options.interrupt_once_there](int) { return std::filesystem::exists(file); };
  }
  if (!options.interrupt_once_said.empty()) {
    return
        [text = options.interrupt_once_said, err](int) { return slurp(err).find(text) != std::string::npos; };
  }
  return {};
}

}  // namespace

ProgramResult run_program(const std::vector<std::string>& arguments, const ProgramOptions& options) {
  if (std::getenv("DDPM_EVAL_BINARY") == nullptr) {
    throw std::runtime_error("DDPM_EVAL_BINARY is not set: run this test through ctest");
  }
  const TempDir dir;
  const pid_t child = ::fork();
  if (child < 0) {
    throw std::runtime_error("fork failed");
  }
  if (child == 0) {
    become_program(arguments, options,
                   options.standard_output.empty() ? dir / "out" : options.standard_output, dir / "err");
  }
  int status = 0;
  bool ended = false;
  if (const auto due = interrupt_of(options, dir / "err")) {
    while (!(ended = ::waitpid(child, &status, WNOHANG) == child) && !due(child)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    if (!ended) {
      ::kill(child, SIGINT);
    }
  }
  if (!ended) {
    ::waitpid(child, &status, 0);
  }
  ProgramResult result;
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.out = slurp(dir / "out");
  result.err = slurp(dir / "err");
  leave_for_schema_test(result.out);
  return result;
}

std::string error_line(const ProgramResult& result) {
  const std::string mark = "ddpm-eval: error: ";
  const size_t begin = result.err.find(mark);
  const bool found = begin != std::string::npos && result.err.find('\n', begin) == result.err.size() - 1;
  EXPECT_TRUE(found) << "no single error line at the end of:\n" << result.err;
  return found ? result.err.substr(begin + mark.size(), result.err.size() - begin - mark.size() - 1)
               : std::string();
}

std::string refusal(const std::vector<std::string>& arguments, int exit_code) {
  const auto result = run_program(arguments);
  EXPECT_EQ(result.exit_code, exit_code) << result.err;
  EXPECT_EQ(result.out, "");
  return error_line(result);
}

}  // namespace ddpm_eval::testing
