#include "base/core/build_info.h"
#include "base/core/error.h"
#include "base/core/interrupt.h"
#include "base/tensor/gpu_memory.h"
#include "base/tensor/process_group.h"
#include "base/tensor/runtime.h"
#include "eval/command.h"
#include "eval/command_line.h"
#include "eval/console.h"
#include "eval/failure.h"
#include "eval/workers.h"

#include <charconv>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <system_error>

#include <CLI/CLI.hpp>

namespace {

using ddpm_eval::core::ExitCode;
using ddpm_eval::eval::Session;

using AddCommand = void (*)(CLI::App&, Session&);

// The order of the help text.
constexpr AddCommand kCommands[] = {
    ddpm_eval::eval::add_train_command,    ddpm_eval::eval::add_sample_command,
    ddpm_eval::eval::add_show_command,     ddpm_eval::eval::add_fid_command,
    ddpm_eval::eval::add_is_command,       ddpm_eval::eval::add_kid_command,
    ddpm_eval::eval::add_prdc_command,     ddpm_eval::eval::add_score_command,
    ddpm_eval::eval::add_explain_command,  ddpm_eval::eval::add_stats_command,
    ddpm_eval::eval::add_nll_command,      ddpm_eval::eval::add_ablate_command,
    ddpm_eval::eval::add_report_command,   ddpm_eval::eval::add_compare_command,
    ddpm_eval::eval::add_features_command, ddpm_eval::eval::add_data_command,
    ddpm_eval::eval::add_weights_command,  ddpm_eval::eval::add_import_command,
    ddpm_eval::eval::add_export_command,   ddpm_eval::eval::add_cache_command,
    ddpm_eval::eval::add_info_command,
};

int fail(ExitCode code, const std::string& message) {
  ddpm_eval::eval::print_error(message);
  return static_cast<int>(code);
}

int fail_usage(const std::string& message) {
  return fail(ExitCode::kUsage, message + " (see ddpm-eval --help)");
}

/// Of a number that no int holds, which the parser would not take for one; of others configure_runtime()
/// speaks.
std::string too_many_threads(const std::string& word) {
  int threads = 0;
  const auto error = std::from_chars(word.data(), word.data() + word.size(), threads).ec;
  return error == std::errc::result_out_of_range ? word + " are too many; 0 means every processor"
                                                 : std::string();
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

/// Exit code 0, unless what went to standard output did not get there.
int finish_output() {
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    return fail(ExitCode::kResources, "standard output could not be written");
  }
  return static_cast<int>(ExitCode::kDone);
}

/// The exit code of `action`, or that of what it throws, which is told.
template <class Action>
int guarded(Action&& action) {
  try {
    return action();
  } catch (...) {
    const auto failure = ddpm_eval::eval::classify(std::current_exception());
    return ddpm_eval::eval::is_spokesman(std::current_exception(), failure)
               ? fail(failure.code, failure.message)
               : static_cast<int>(failure.code);
  }
}

int run(Session& session, char** argv) {
  ddpm_eval::eval::take_share(session);
  const auto process = ddpm_eval::eval::launched_for(session);
  if (ddpm_eval::eval::starts_workers(session, process)) {
    return ddpm_eval::eval::run_workers(session, argv);
  }
  if (process) {
    ddpm_eval::eval::join_workers(*process, session);
  }
  ddpm_eval::tensor::configure_runtime(session.threads, session.device, session.tf32);
  if (ddpm_eval::core::interrupt_requested()) {
    return fail(ExitCode::kInterrupted, "interrupted before anything was done");
  }
  session.action();
  if (ddpm_eval::tensor::batches_were_halved()) {
    ddpm_eval::eval::print_note(
        "the GPU's memory did not suffice for whole micro-batches: they were halved, which can change last "
        "bits");
  }
  ddpm_eval::tensor::process_group().leave();
  return finish_output();
}

}  // namespace

int main(int argc, char** argv) {
  ddpm_eval::core::install_interrupt_handler();
  Session session;
  CLI::App program("Train, sample and score diffusion models.", "ddpm-eval");
  program.require_subcommand(1);
  program.fallthrough();
  ddpm_eval::eval::show_global_options_in_help(program);
  program.set_version_flag("--version", std::string(ddpm_eval::core::build_info().version) + " (" +
                                            std::string(ddpm_eval::core::build_info().commit) + ")");
  program.add_option("--threads", session.threads, "Processors to use; 0 means all that the process may use")
      ->capture_default_str()
      ->check(too_many_threads, "");
  program.add_option("--device", session.device, "Where networks compute: cpu, cuda or cuda:N")
      ->capture_default_str();
  program.add_flag("--tf32", session.tf32, "Let a GPU multiply float32 in TF32: faster, 10 bits of 23");
  program.add_option("--procs", session.procs,
                     "Processes of this machine that share the work; 1: alone, whatever a launcher says");
  program.add_flag("-q,--quiet", session.quiet, "No progress on standard error");
  session.cache = true;
  program.add_flag_callback(
      "--no-cache", [&] { session.cache = false; },
      "Measure images anew whose moments the cache has, and keep none");
  for (const auto add : kCommands) {
    add(program, session);
  }
  if (argc == 3 && argv[1] == std::string_view("--write-help")) {
    // Called by the build: the launcher prints these texts without loading LibTorch.
    return guarded([&] {
      ddpm_eval::eval::write_help(program, argv[2]);
      return finish_output();
    });
  }
  try {
    program.parse(argc, argv);
  } catch (const CLI::Success& request) {  // --help, --version
    if (const auto unknown = ddpm_eval::eval::unknown_command(program)) {
      return fail_usage(*unknown);
    }
    program.exit(request);
    return finish_output();
  } catch (const CLI::RequiredError& error) {
    return fail_usage(ddpm_eval::eval::command_problem(program).value_or(first_line(error.what())));
  } catch (const CLI::ExtrasError& error) {
    return fail_usage(ddpm_eval::eval::unknown_option(program).value_or(first_line(error.what())));
  } catch (const CLI::ParseError& error) {
    return fail_usage(first_line(error.what()));
  }
  if (const auto problem = ddpm_eval::eval::value_problem(program)) {
    return fail_usage(*problem);
  }
  return guarded([&] { return run(session, argv); });
}
