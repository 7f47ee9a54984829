#include "metrics/inception_score.h"

#include "base/core/error.h"
#include "base/tensor/shape.h"
#include "metrics/numpy_random.h"

#include <algorithm>
#include <cmath>

namespace ddpm_eval::metrics {
namespace {

/// exp of the mean divergence of the rows from their own mean. float32 [m, classes], m > 0.
double score_of_split(const at::Tensor& logits, Softmax softmax) {
  at::Tensor p, log_p;
  if (softmax == Softmax::kFloat64) {
    log_p = logits.to(at::kDouble).log_softmax(1);
    p = log_p.exp();
  } else {
    p = logits.softmax(1).to(at::kDouble);
    log_p = p.log();
  }
  const auto log_marginal = p.mean(0).log();
  // A class with p(y) = 0 has p(y|x) = 0 for every x: 0 log 0 is 0.
  const auto terms = at::where(p > 0, p * (log_p - log_marginal), torch::zeros({}, at::kDouble));
  return std::exp(terms.sum(1).mean().item<double>());
}

/// Split i has the rows [edges[i], edges[i + 1]).
std::vector<int64_t> edges_of(const InceptionScoreRule& rule, int64_t count) {
  std::vector<int64_t> edges = {0};
  const bool even = rule.splitting == Splitting::kEven;
  if (even || rule.splitting == Splitting::kDropRest) {
    for (int64_t split = 1; split <= rule.splits; ++split) {
      edges.push_back(even ? split * count / rule.splits : split * (count / rule.splits));
    }
    return edges;
  }
  const int64_t rows =
      rule.splitting == Splitting::kCeil ? (count + rule.splits - 1) / rule.splits : rule.splits;
  while (edges.back() < count) {
    edges.push_back(std::min(edges.back() + rows, count));
  }
  return edges;
}

}  // namespace

int64_t fewest_images(const InceptionScoreRule& rule) {
  return rule.splitting == Splitting::kChunks ? 1 : rule.splits;
}

InceptionScore inception_score(const at::Tensor& logits, const InceptionScoreRule& rule) {
  tensor::expect(logits, at::kFloat, {-1, -1}, "logits");
  const int64_t count = logits.size(0);
  if (rule.splits < 1) {
    throw core::UsageError("the Inception Score needs at least 1 split, not {}", rule.splits);
  }
  if (count < fewest_images(rule)) {
    throw core::DataError(
        "the Inception Score of {} images cannot be split {} ways: score at least {} images", count,
        fewest_images(rule), fewest_images(rule));
  }
  if (!at::isfinite(logits).all().item<bool>()) {
    throw core::DataError(
        "the logits of {} images hold NaN or infinity: the weights or the images are damaged", count);
  }
  auto rows = logits;
  if (rule.shuffle_seed) {
    const auto order = NumpyRandom(*rule.shuffle_seed).permutation(count);
    rows = logits.index_select(0, torch::tensor(order, at::kLong));
  }
  const auto edges = edges_of(rule, count);
  std::vector<double> scores;
  for (size_t split = 0; split + 1 < edges.size(); ++split) {
    scores.push_back(
        score_of_split(rows.narrow(0, edges[split], edges[split + 1] - edges[split]), rule.softmax));
  }
  const auto all = torch::tensor(scores, at::kDouble);
  InceptionScore score{all.mean().item<double>(), {}, all.numel(), edges.back()};
  if (rule.ddof && score.splits > *rule.ddof) {
    const double squares = (all - score.mean).square().sum().item<double>();
    score.std = std::sqrt(squares / static_cast<double>(score.splits - *rule.ddof));
  }
  return score;
}

}  // namespace ddpm_eval::metrics
