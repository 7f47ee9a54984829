#pragma once

#include <cstdint>
#include <optional>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::metrics {

struct InceptionScoreOptions {
  int64_t splits = 10;
  /// Rows are put into the order of NumPy's RandomState(seed).permutation first; nullopt: the order given.
  /// torch-fidelity shuffles, because the contiguous splits of a set sorted by class would depress the score.
  std::optional<uint32_t> shuffle_seed = 2020;
};

struct InceptionScore {
  double mean = 0.0;  ///< over splits
  double std = 0.0;   ///< over splits, divided by their number (ddof 0)
  int64_t splits = 0;
  int64_t count = 0;  ///< images
};

/// exp(mean KL(p(y|x) || p(y))) per split with natural logarithms, then mean and spread over splits (Salimans
/// et al. 2016), as torch-fidelity 0.4.0 computes it: softmax and log-softmax in float64, split i holds the
/// rows [i N / splits, (i + 1) N / splits). `logits` is float32 [N, classes], for the FID Inception without
/// the bias. Throws DataError for fewer rows than splits and for NaN or infinity, UsageError for fewer than
/// one split.
InceptionScore inception_score(const at::Tensor& logits, const InceptionScoreOptions& options = {});

}  // namespace ddpm_eval::metrics
