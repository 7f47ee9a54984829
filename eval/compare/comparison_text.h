#pragma once

#include "base/core/record.h"
#include "eval/compare/comparison.h"

#include <string>

// What a comparison says, for people and for programs.
namespace ddpm_eval::eval {

/// "1 of 40 series is worse, 2 are better", without an end.
std::string comparison_summary(const SuiteComparison& comparison);

/// The table of all series, the remarks and the summary, in lines for a terminal.
std::string comparison_table(const SuiteComparison& comparison);

/// For a pull request: what has changed in a table, the rest folded away.
std::string comparison_markdown(const SuiteComparison& comparison);

/// The record, kind "comparison".
core::Json comparison_record(const SuiteComparison& comparison);

}  // namespace ddpm_eval::eval
