#include "metrics/score_interval.h"

#include "base/core/numpy_random.h"
#include "base/tensor/noise.h"
#include "metrics/score_sums.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <torch/types.h>

namespace ddpm_eval::metrics {
namespace {

/// One split, whole and in groups.
struct SplitSums {
  ScoreSums all;
  std::vector<ScoreSums> groups;

  double score_without(std::initializer_list<size_t> left_out) const {
    ScoreSums rest(all);
    for (const size_t group : left_out) {
      rest.subtract(groups[group]);
    }
    return rest.score();
  }
};

SplitSums sums_of(const at::Tensor& logits, int64_t groups) {
  SplitSums sums{ScoreSums(logits.size(1)), {}};
  sums.all.add(logits);
  for (int64_t group = 0; group < groups; ++group) {
    const int64_t begin = group * logits.size(0) / groups;
    const int64_t end = (group + 1) * logits.size(0) / groups;
    sums.groups.emplace_back(logits.size(1));
    sums.groups.back().add(logits.narrow(0, begin, end - begin));
  }
  return sums;
}

/// The order in which inception_score() cuts its splits, int64 [N].
at::Tensor order_of_score(int64_t count, const InceptionScoreRule& options) {
  return options.shuffle_seed
             ? torch::tensor(core::NumpyRandom(*options.shuffle_seed).permutation(count), at::kLong)
             : torch::arange(count, at::kLong);
}

/// `gather(rows)` gives the logits of these images, int64 [n].
template <class Gather>
Uncertainty interval_of(int64_t count, const InceptionScore& score, const ScoreIntervalOptions& options,
                        const Gather& gather) {
  const auto edges = split_edges(options.score, count);
  int64_t in_split = score.count;
  for (size_t split = 0; split + 1 < edges.size(); ++split) {
    in_split = std::min(in_split, edges[split + 1] - edges[split]);
  }
  Uncertainty result;
  result.value = score.mean;
  result.level = options.level;
  result.method = "jackknife";
  result.groups = options.groups;
  if (in_split < 2 * options.groups) {
    result.withheld = fmt::format("{} images a split: {} groups of at least 2 images need {}", in_split,
                                  options.groups, 2 * options.groups);
    return result;
  }
  const auto order = order_of_score(count, options.score);
  const auto groups = static_cast<size_t>(options.groups);
  const auto splits = static_cast<double>(score.splits);
  std::vector<double> less(groups);
  std::vector<double> less_pairs(groups / 2);
  for (int64_t split = 0; split < score.splits; ++split) {
    const int64_t begin = edges[static_cast<size_t>(split)];
    const int64_t size = edges[static_cast<size_t>(split) + 1] - begin;
    const auto shuffle = tensor::permutation({options.seed, "jackknife.groups"}, split, size);
    const auto rows = order.narrow(0, begin, size).index_select(0, shuffle);
    const auto sums = sums_of(gather(rows), options.groups);
    for (size_t group = 0; group < groups; ++group) {
      less[group] += sums.score_without({group}) / splits;
    }
    for (size_t pair = 0; pair < less_pairs.size(); ++pair) {
      less_pairs[pair] += sums.score_without({2 * pair, 2 * pair + 1}) / splits;
    }
  }
  const auto found = jackknife(result.value, less, less_pairs);
  result.deviation = found.deviation;
  result.bias = found.bias;
  const auto freedom = static_cast<double>(options.groups - 1);
  auto many = fmt::format("the expected score of {} images", score.count);
  if (score.splits > 1) {
    many += fmt::format(" in {} splits", score.splits);
  }
  result.at_count = interval_around(result.value, result.deviation, options.level, freedom, std::move(many));
  result.at_infinity = interval_around(result.value - result.bias, result.deviation, options.level, freedom,
                                       "the score of infinitely many images");
  return result;
}

}  // namespace

Uncertainty score_interval(const at::Tensor& logits, const ScoreIntervalOptions& options) {
  check_uncertainty_options(options.groups, options.level);
  return interval_of(logits.size(0), inception_score(logits, options.score), options,
                     [&](const at::Tensor& rows) { return logits.index_select(0, rows); });
}

Uncertainty score_interval(const data::RowStore& logits, const ScoreIntervalOptions& options) {
  check_uncertainty_options(options.groups, options.level);
  return interval_of(logits.count(), inception_score(logits, options.score), options,
                     [&](const at::Tensor& rows) {
                       return logits.gather({rows.data_ptr<int64_t>(), static_cast<size_t>(rows.numel())});
                     });
}

}  // namespace ddpm_eval::metrics
