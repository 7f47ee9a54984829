#pragma once

#include "eval/side_scores.h"

// Scores of each class of images by itself: `--by-class`.
namespace ddpm_eval::eval {

/// A side before it is measured; `images` is null for a file of statistics or features.
struct LabelledSide {
  const SideRequest& request;
  const data::ImageSource* images;
};

/// Throws UsageError unless both sides have labels and, where both name their classes, the same names.
/// DataError for labels that are damaged.
void require_classes(const LabelledSide& real, const LabelledSide& fake);

/// Adds the Frechet distances of the classes to `scores`: their mean, "intra_" and the distance's key, to the
/// metrics, and each with its counts to parts["classes"]. Classes are matched by name where both sides have
/// names, else by number; those without an image on either side are passed over. Both sides have their
/// features and labels. Throws DataError for a class of fewer than two images on a side, and
/// InterruptedError.
void add_class_distances(const Side& real, const Side& fake, const SideRules& rules, SideScores& scores,
                         const Session& session);

}  // namespace ddpm_eval::eval
