#pragma once

#include "metrics/inception_score.h"
#include "metrics/uncertainty.h"

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::metrics {

struct ScoreIntervalOptions {
  InceptionScoreRule score = {};  ///< of which score: its splits and its order
  int64_t groups = 20;            ///< 20 to 50
  double level = 0.95;            ///< nominal coverage
  uint64_t seed = 0;              ///< of the groups within a split
};

/// Uncertainty of inception_score().mean over new images, by a delete-group jackknife: group j is the j-th
/// part of every split, in random order, and goes from all of them at once, because the splits are
/// independent and their variances add up. The spread over splits, which tools print beside the score, is
/// neither the deviation of the mean nor that of a score of all images.
///
/// The score is a biased plug-in: the entropy of the mean of n = N / splits predictions is below that of
/// infinitely many, so it reads too low by about a factor 1 - c / n, c up to half the number of classes.
/// `bias` is the estimate of that (negative), and `at_infinity` is about the score of infinitely many images,
/// the same for any number of splits.
///
/// `logits` is float32 [N, classes]. Withheld below two images a group. Throws as inception_score(), and
/// UsageError for fewer than 4 groups or a level outside (0, 1). Time and memory are those of the score: sums
/// of float64 softmax a group are all that is kept.
Uncertainty score_interval(const at::Tensor& logits, const ScoreIntervalOptions& options = {});

/// The same of rows that need not be in memory, which takes those of one split at a time. Throws
/// ResourceError where they cannot be read.
Uncertainty score_interval(const data::RowStore& logits, const ScoreIntervalOptions& options = {});

}  // namespace ddpm_eval::metrics
