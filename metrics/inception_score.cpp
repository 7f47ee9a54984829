#include "metrics/inception_score.h"

#include "base/core/error.h"
#include "base/tensor/shape.h"
#include "metrics/numpy_random.h"

#include <cmath>

namespace ddpm_eval::metrics {
namespace {

/// exp of the mean divergence of the rows from their own mean. float32 [m, classes], m > 0.
double score_of_split(const at::Tensor& logits) {
  const auto log_p = logits.to(at::kDouble).log_softmax(1);
  const auto p = log_p.exp();
  const auto log_marginal = p.mean(0).log();
  // A class with p(y) = 0 has p(y|x) = 0 for every x: 0 log 0 is 0.
  const auto terms = at::where(p > 0, p * (log_p - log_marginal), torch::zeros({}, at::kDouble));
  return std::exp(terms.sum(1).mean().item<double>());
}

}  // namespace

InceptionScore inception_score(const at::Tensor& logits, const InceptionScoreOptions& options) {
  tensor::expect(logits, at::kFloat, {-1, -1}, "logits");
  const int64_t count = logits.size(0);
  if (options.splits < 1) {
    throw core::UsageError("the Inception Score needs at least 1 split, not {}", options.splits);
  }
  if (count < options.splits) {
    throw core::DataError(
        "the Inception Score of {} images cannot be split {} ways: score at least {} images", count,
        options.splits, options.splits);
  }
  if (!at::isfinite(logits).all().item<bool>()) {
    throw core::DataError(
        "the logits of {} images hold NaN or infinity: the weights or the images are damaged", count);
  }
  auto rows = logits;
  if (options.shuffle_seed) {
    const auto order = NumpyRandom(*options.shuffle_seed).permutation(count);
    rows = logits.index_select(0, torch::tensor(order, at::kLong));
  }
  std::vector<double> scores;
  for (int64_t split = 0; split < options.splits; ++split) {
    const int64_t begin = split * count / options.splits;
    const int64_t end = (split + 1) * count / options.splits;
    scores.push_back(score_of_split(rows.narrow(0, begin, end - begin)));
  }
  const auto all = torch::tensor(scores, at::kDouble);
  return {all.mean().item<double>(), all.std(/*unbiased=*/false).item<double>(), options.splits, count};
}

}  // namespace ddpm_eval::metrics
