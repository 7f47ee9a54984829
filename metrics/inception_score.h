#pragma once

#include "base/data/row_store.h"
#include "metrics/preset.h"

#include <cstdint>
#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::metrics {

struct InceptionScore {
  double mean = 0.0;          ///< over splits
  std::optional<double> std;  ///< over splits; none where the rule gives none, or of one split with ddof 1
  int64_t splits = 0;
  int64_t count = 0;  ///< images in the splits
};

/// Where the splits of `count` images begin: split i has the rows [edges[i], edges[i + 1]).
std::vector<int64_t> split_edges(const InceptionScoreRule& rule, int64_t count);

/// The fewest images that have a score: one for each split, of chunks one.
int64_t fewest_images(const InceptionScoreRule& rule);

/// exp(mean KL(p(y|x) || p(y))) per split with natural logarithms, then mean and spread over splits (Salimans
/// et al. 2016). As it stands, the rule is torch-fidelity 0.4.0's. Sums and logarithms are float64 whatever
/// the rule; of a float32 softmax log p is the logarithm of p, and 0 log 0 is 0, where tools that add a
/// float32 log-softmax or get NaN differ. `logits` is float32 [N, classes], for the FID Inception without the
/// bias. Throws DataError for fewer rows than fewest_images() and for NaN or infinity, UsageError for fewer
/// than one split.
InceptionScore inception_score(const at::Tensor& logits, const InceptionScoreRule& rule = {});

/// The same of rows that need not be in memory, which takes blocks of them in turn. Throws ResourceError
/// where they cannot be read.
InceptionScore inception_score(const data::RowStore& logits, const InceptionScoreRule& rule = {});

}  // namespace ddpm_eval::metrics
