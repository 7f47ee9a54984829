#pragma once

#include "eval/side.h"

#include <string>
#include <string_view>
#include <vector>

// Whether two sides may be compared: what a statistics file says of the features that it was made with.
namespace ddpm_eval::eval {

/// The features that a statistics file names (name, weights_sha256, preset, dim), or null: images, and files
/// of other tools, which do not say.
Json provenance_features(const Side& side);

/// The text of a field, or "" where there is none: provenance comes from a file.
std::string text_field(const Json& object, const char* key);

/// Whether numbers on these features may bear the FID Inception's metric names. Statistics of other tools do
/// not say what they are: 2048 columns are taken for the FID Inception's, as everywhere.
bool uses_fid_inception(const Json& features, int64_t dim);

/// The name of a Frechet distance of these features: "frechet_inception_distance" of pool3 alone,
/// "spatial_frechet_inception_distance" (ADM's sFID) of the spatial features, for which 2023 columns are
/// taken where nothing is said, and "frechet_distance" of all others, which must not be mistaken for them.
std::string frechet_key(const Json& features, int64_t dim);

/// The name that those of an Inception Score begin with: the FID Inception's, or that of other classifiers.
std::string inception_score_key(bool is_fid_inception);

/// What two sides' features differ in, as "precision of the features differs: real float32, fake bf16": in
/// their name, the SHA-256 of their weights, preset, convention or precision. `one` and `other` name the
/// sides.
std::vector<std::string> feature_differences(const Json& features, const Json& of_other, std::string_view one,
                                             std::string_view other);

/// Throws NotComparableError if the two sides were made with different features, unless `allow_mismatch`;
/// what is doubtful all the same is added to `notes`.
void require_same_features(const Json& real, const Json& fake, bool allow_mismatch, Json& notes);

}  // namespace ddpm_eval::eval
