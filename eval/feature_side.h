#pragma once

#include "eval/side.h"

// Features that were computed before, here or by another program, as one side of a score.
namespace ddpm_eval::eval {

/// Whether `source` is a file of features, which needs no network.
bool is_features(const std::string& source);

/// Reads such a file: its rows, their moments and what it says of its making. Throws DataError as
/// data::read_features() and for fewer than two rows, UsageError for what features cannot give: spatial ones
/// beside them.
Side read_feature_side(const SideRequest& request);

/// Whether a side is a file of features that does not say which network they are of: no number on it may bear
/// the FID Inception's name.
bool are_of_unknown_net(const Side& side);

}  // namespace ddpm_eval::eval
