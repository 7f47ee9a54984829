#pragma once

#include "eval/score.h"

namespace ddpm_eval::eval {

/// What of the options of a score of images can be refused before anything is opened: those that no wanted
/// score takes, or that exclude each other. Throws UsageError.
void check_score_options(const ScoreOptions& options);

}  // namespace ddpm_eval::eval
