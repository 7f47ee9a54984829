#include "metrics/score_sums.h"

#include "base/core/error.h"
#include "base/tensor/shape.h"

#include <algorithm>
#include <cmath>

#include <torch/types.h>

namespace ddpm_eval::metrics {

ScoreSums::ScoreSums(int64_t classes, Softmax softmax)
    : softmax_(softmax), p_(torch::zeros({classes}, at::kDouble)) {}

void ScoreSums::add(const at::Tensor& logits) {
  tensor::expect(logits, at::kFloat, {-1, p_.size(0)}, "logits");
  constexpr int64_t kRows = 4096;  // 33 MB of float64 at 1008 classes
  for (int64_t begin = 0; begin < logits.size(0); begin += kRows) {
    const auto rows = logits.narrow(0, begin, std::min(kRows, logits.size(0) - begin));
    at::Tensor p, log_p;
    if (softmax_ == Softmax::kFloat64) {
      log_p = rows.to(at::kDouble).log_softmax(1);
      p = log_p.exp();
    } else {
      p = rows.softmax(1).to(at::kDouble);
      log_p = p.log();
    }
    p_.add_(p.sum(0));
    // Where p is 0, log p may be -infinity, and 0 log 0 is 0.
    negentropy_ += at::where(p > 0, p * log_p, torch::zeros({}, at::kDouble)).sum().item<double>();
  }
  count_ += logits.size(0);
}

void ScoreSums::subtract(const ScoreSums& other) {
  DDPM_CHECK(other.count_ <= count_, "{} of {} images", other.count_, count_);
  // What is left of a class that only the other had may be -1e-17.
  p_ = (p_ - other.p_).clamp_min_(0.0);
  negentropy_ -= other.negentropy_;
  count_ -= other.count_;
}

double ScoreSums::score() const {
  DDPM_CHECK(count_ > 0, "no images");
  const auto images = static_cast<double>(count_);
  const auto marginal = p_ / images;
  return std::exp(negentropy_ / images - at::xlogy(marginal, marginal).sum().item<double>());
}

}  // namespace ddpm_eval::metrics
