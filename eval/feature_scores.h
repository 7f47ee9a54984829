#pragma once

#include "eval/side_scores.h"

#include <cstdint>
#include <optional>

// The scores that look at the features of single images: of kernels, of neighbours, of directions, of
// diversity and of copies.
namespace ddpm_eval::eval {

/// Throws UsageError where sets of so many images cannot be scored as wanted; counts that are not known yet
/// are empty.
void require_counts(const SideRules& rules, std::optional<int64_t> real, std::optional<int64_t> fake);

/// Adds those that are wanted. Both sides have their features; `real` is null where only the fake side's are
/// asked for. Throws as score_side().
void add_feature_scores(const Side* real, const Side& fake, const SideRules& rules, SideScores& scores,
                        const Session& session);

/// Adds MiFID, the Frechet distance of these features being `frechet`.
void add_memorization_informed(const Side& real, const Side& fake, double frechet, const SideRules& rules,
                               SideScores& scores, const Session& session);

}  // namespace ddpm_eval::eval
