#pragma once

#include "metrics/preset.h"

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::metrics {

/// Private to metrics: all that the Inception Score of some images (in one split) depends on, which can be
/// added to and taken away from. float64.
class ScoreSums {
 public:
  explicit ScoreSums(int64_t classes, Softmax softmax = Softmax::kFloat64);

  /// Adds float32 [n, classes]; n may be 0.
  void add(const at::Tensor& logits);

  /// Takes away what was added to `other`, which must be a part of this.
  void subtract(const ScoreSums& other);

  int64_t count() const { return count_; }

  /// exp of the mean divergence of p(y|x) from the mean of p(y|x). At least one image.
  double score() const;

 private:
  Softmax softmax_;
  at::Tensor p_;             ///< sum of p(y|x), [classes]
  double negentropy_ = 0.0;  ///< sum of p(y|x) log p(y|x) over classes and images
  int64_t count_ = 0;
};

}  // namespace ddpm_eval::metrics
