#include "metrics/inception_score.h"

#include "base/core/error.h"
#include "base/core/numpy_random.h"
#include "base/tensor/shape.h"
#include "metrics/score_sums.h"

#include <algorithm>
#include <cmath>
#include <span>

namespace ddpm_eval::metrics {
namespace {

/// `block(begin, count)` gives rows [begin, begin + count), shuffled if the rule says so.
template <class Block>
InceptionScore score_of_blocks(int64_t count, int64_t classes, const InceptionScoreRule& rule,
                               const Block& block) {
  constexpr int64_t kRows = 1024;
  const auto edges = split_edges(rule, count);
  std::vector<double> scores;
  for (size_t split = 0; split + 1 < edges.size(); ++split) {
    ScoreSums sums(classes, rule.softmax);
    for (int64_t begin = edges[split]; begin < edges[split + 1]; begin += kRows) {
      const at::Tensor rows = block(begin, std::min(kRows, edges[split + 1] - begin));
      if (!at::isfinite(rows).all().template item<bool>()) {
        throw core::DataError(
            "the logits of {} images hold NaN or infinity: the weights or the images are damaged", count);
      }
      sums.add(rows);
    }
    scores.push_back(sums.score());
  }
  const auto all = torch::tensor(scores, at::kDouble);
  InceptionScore score{all.mean().item<double>(), {}, all.numel(), edges.back()};
  if (rule.ddof && score.splits > *rule.ddof) {
    const double squares = (all - score.mean).square().sum().item<double>();
    score.std = std::sqrt(squares / static_cast<double>(score.splits - *rule.ddof));
  }
  return score;
}

/// Throws where the rule has no score of `count` images; the order of the rows, if it shuffles them.
std::vector<int64_t> order_of(const InceptionScoreRule& rule, int64_t count) {
  if (rule.splits < 1) {
    throw core::UsageError("the Inception Score needs at least 1 split, not {}", rule.splits);
  }
  if (count < fewest_images(rule)) {
    throw core::DataError(
        "the Inception Score of {} images cannot be split {} ways: score at least {} images", count,
        fewest_images(rule), fewest_images(rule));
  }
  return rule.shuffle_seed ? core::NumpyRandom(*rule.shuffle_seed).permutation(count)
                           : std::vector<int64_t>();
}

std::span<const int64_t> part_of(const std::vector<int64_t>& order, int64_t begin, int64_t count) {
  return std::span(order).subspan(static_cast<size_t>(begin), static_cast<size_t>(count));
}

}  // namespace

std::vector<int64_t> split_edges(const InceptionScoreRule& rule, int64_t count) {
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

int64_t fewest_images(const InceptionScoreRule& rule) {
  return rule.splitting == Splitting::kChunks ? 1 : rule.splits;
}

InceptionScore inception_score(const at::Tensor& logits, const InceptionScoreRule& rule) {
  tensor::expect(logits, at::kFloat, {-1, -1}, "logits");
  const auto order = order_of(rule, logits.size(0));
  return score_of_blocks(logits.size(0), logits.size(1), rule, [&](int64_t begin, int64_t count) {
    if (order.empty()) {
      return logits.narrow(0, begin, count);
    }
    const auto part = part_of(order, begin, count);
    return logits.index_select(0, torch::tensor(at::ArrayRef<int64_t>(part.data(), part.size()), at::kLong));
  });
}

InceptionScore inception_score(const data::RowStore& logits, const InceptionScoreRule& rule) {
  const auto order = order_of(rule, logits.count());
  return score_of_blocks(logits.count(), logits.columns(), rule, [&](int64_t begin, int64_t count) {
    return order.empty() ? logits.read(begin, count) : logits.gather(part_of(order, begin, count));
  });
}

}  // namespace ddpm_eval::metrics
