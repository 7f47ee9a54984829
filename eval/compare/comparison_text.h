#pragma once

#include "base/core/record.h"
#include "eval/compare/comparison.h"

#include <string>

// What a comparison says, for people and for programs.
namespace ddpm_eval::eval {

/// "1 of 40 series is worse, 2 are better", without an end.
std::string comparison_summary(const SuiteComparison& comparison);

/// The worse series with their changes, of many the first: "forward (+10.0 %), samples (other bytes with
/// AVX2)".
std::string what_is_worse(const SuiteComparison& comparison);

/// The table of all series, the remarks and the summary, in lines for a terminal.
std::string comparison_table(const SuiteComparison& comparison);

/// For a pull request: in a table what changed, may have changed or is in one suite alone, worse first; the
/// rest folded away, with how many of each verdict.
std::string comparison_markdown(const SuiteComparison& comparison);

/// The record, kind "comparison".
core::Json comparison_record(const SuiteComparison& comparison);

}  // namespace ddpm_eval::eval
