#include "base/core/error.h"
#include "eval/command.h"
#include "eval/compare/comparison.h"
#include "eval/compare/comparison_text.h"
#include "eval/distinct_files.h"
#include "eval/output.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

struct CompareOptions {
  std::filesystem::path base;
  std::filesystem::path now;
  std::string threshold = "5%";
  std::string level = "1%";
  bool allow_mismatch = false;
  std::string json;
  std::string markdown;
};

/// "5%" or "0.05". A bare number from 1 on is refused, as it may have been meant either way.
double share_of(const char* flag, const std::string& text, double least, double most) {
  char* end = nullptr;
  double value = std::strtod(text.c_str(), &end);
  const bool is_percent = end != text.c_str() && *end == '%';
  value /= is_percent ? 100 : 1;
  const bool ends = *(end + (is_percent ? 1 : 0)) == '\0';
  if (end == text.c_str() || !ends || !(value >= least && value <= most) || (!is_percent && value >= 1)) {
    throw core::UsageError("{} {}: expected {:g}% to {:g}%, as 5% or 0.05", flag, text, 100 * least,
                           100 * most);
  }
  return value;
}

void compare(const CompareOptions& options) {
  const ComparisonOptions chosen{.threshold = share_of("--threshold", options.threshold, 0, 10),
                                 .level = share_of("--level", options.level, 1e-9, 0.5),
                                 .allow_mismatch = options.allow_mismatch};
  if (options.json == "-" && options.markdown == "-") {
    throw core::UsageError("--json -, --markdown -: only one can go to standard output");
  }
  require_distinct({{"--json", options.json}, {"--markdown", options.markdown}},
                   {{"the baseline", options.base}, {"the new suite", options.now}});
  require_json_target(options.json);
  require_json_target(options.markdown);
  const auto comparison = compare_suites(read_suite(options.base), read_suite(options.now), chosen);
  const bool json_shown = write_json(options.json, comparison_record(comparison));
  const bool markdown_shown = write_output("--markdown", options.markdown, comparison_markdown(comparison));
  if (!json_shown && !markdown_shown) {
    write_output("the table to", "-", comparison_table(comparison));
  }
  if (comparison.count(Verdict::kWorse) > 0) {
    throw core::Error(core::ExitCode::kRegression,
                      fmt::format("{}: {}: {}", options.now.string(), comparison_summary(comparison),
                                  what_is_worse(comparison)));
  }
  if (const auto open = what_stays_open(comparison); !open.empty() && !options.allow_mismatch) {
    throw core::NotComparableError("{}: nothing is shown to be worse, but {}; --allow-mismatch accepts that",
                                   options.now.string(), open);
  }
}

}  // namespace

void add_compare_command(CLI::App& program, Session& session) {
  auto* command = program.add_subcommand(
      "compare", "Whether what a benchmark suite has measured is worse than its baseline");
  auto options = std::make_shared<CompareOptions>();
  command->add_option("base", options->base, "The suite record of the baseline")->required();
  command->add_option("new", options->now, "The suite record to compare to it")->required();
  command
      ->add_option("--threshold", options->threshold, "The smallest change of speed and memory that counts")
      ->capture_default_str();
  command
      ->add_option("--level", options->level, "How often the whole suite may be called worse when nothing is")
      ->capture_default_str();
  command->add_flag(
      "--allow-mismatch", options->allow_mismatch,
      "Compare although processor, threads, build or LibTorch differ, and accept what stays open");
  add_json_option(*command, options->json);
  command->add_option("--markdown", options->markdown,
                      "Write the result for a pull request to this file; - is standard output");
  command->callback([options, &session] { session.action = [options] { compare(*options); }; });
}

}  // namespace ddpm_eval::eval
