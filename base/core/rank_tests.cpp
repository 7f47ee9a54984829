#include "base/core/rank_tests.h"

#include "base/core/error.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace ddpm_eval::core {
namespace {

double normal_tail(double z) { return 0.5 * std::erfc(z / std::sqrt(2.0)); }

struct Ranks {
  std::vector<size_t> twice;  ///< twice the midrank of each value, a whole number
  double ties = 0;            ///< the sum of t^3 - t over groups of t equal values
};

Ranks ranks_of(const std::vector<double>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  Ranks ranks{std::vector<size_t>(values.size())};
  for (size_t first = 0; first < order.size();) {
    size_t end = first;
    while (end < order.size() && values[order[end]] == values[order[first]]) {
      ++end;
    }
    for (size_t i = first; i < end; ++i) {
      ranks.twice[order[i]] = first + end + 1;  // the ranks first + 1 ... end
    }
    const auto equal = static_cast<double>(end - first);
    ranks.ties += equal * (equal * equal - 1);
    first = end;
  }
  return ranks;
}

/// How many choices of `chosen` of the `ranks` have each sum.
std::vector<double> subset_sums(const std::vector<size_t>& ranks, size_t chosen) {
  const size_t most = std::accumulate(ranks.begin(), ranks.end(), size_t{0});
  std::vector<std::vector<double>> ways(chosen + 1, std::vector<double>(most + 1));
  ways[0][0] = 1;
  size_t reached = 0;
  for (size_t i = 0; i < ranks.size(); ++i) {
    reached += ranks[i];
    const size_t rest = ranks.size() - 1 - i;
    for (size_t count = std::min(i + 1, chosen); count > 0 && count + rest >= chosen; --count) {
      for (size_t sum = ranks[i]; sum <= reached; ++sum) {
        ways[count][sum] += ways[count - 1][sum - ranks[i]];
      }
    }
  }
  return std::move(ways[chosen]);
}

/// Of counts, so that they sum to 1.
std::vector<double> shares(std::vector<double> counts) {
  const double total = std::accumulate(counts.begin(), counts.end(), 0.0);
  for (auto& count : counts) {
    count /= total;
  }
  return counts;
}

/// The chances of the sum of two independent numbers.
std::vector<double> sums_of_both(const std::vector<double>& one, const std::vector<double>& other) {
  std::vector<double> sums(one.size() + other.size() - 1);
  for (size_t i = 0; i < one.size(); ++i) {
    for (size_t j = 0; one[i] != 0 && j < other.size(); ++j) {
      sums[i + j] += one[i] * other[j];
    }
  }
  return sums;
}

/// Where a part of n values begins.
int64_t block_start(int64_t n, int64_t blocks, int64_t block) { return n * block / blocks; }

/// The chance of each sum of the `ranks` that get a positive sign by the toss of a coin.
std::vector<double> coin_sums(const std::vector<size_t>& ranks) {
  const size_t most = std::accumulate(ranks.begin(), ranks.end(), size_t{0});
  std::vector<double> chances(most + 1);
  chances[0] = 1;
  for (const size_t rank : ranks) {
    for (size_t sum = most + 1; sum-- > 0;) {
      chances[sum] = 0.5 * (chances[sum] + (sum >= rank ? chances[sum - rank] : 0));
    }
  }
  return chances;
}

/// Both tails at `found` of a distribution over 0, 1, ...
OneSidedP tails(const std::vector<double>& weights, size_t found) {
  const auto at = weights.begin() + static_cast<std::ptrdiff_t>(found);
  const double below = std::accumulate(weights.begin(), at, 0.0);
  const double above = std::accumulate(at + 1, weights.end(), 0.0);
  const double total = below + *at + above;
  return {(above + *at) / total, (below + *at) / total};
}

OneSidedP normal_tails(double found, double mean, double variance) {
  if (!(variance > 0)) {
    return {};
  }
  const double sd = std::sqrt(variance);
  return {normal_tail((found - mean - 0.5) / sd), normal_tail((mean - found - 0.5) / sd)};
}

std::vector<size_t> whole_ranks(size_t count) {
  std::vector<size_t> ranks(count);
  std::iota(ranks.begin(), ranks.end(), size_t{1});
  return ranks;
}

/// The largest k for which the chance of a statistic below k is at most `tail`: the k-th smallest and the
/// k-th largest candidate are the ends of the interval, 0 if none will do.
size_t interval_rank(const std::vector<double>& weights, double tail) {
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  size_t k = 0;
  for (double below = weights[0]; below <= tail * total && k + 1 < weights.size(); below += weights[k]) {
    ++k;
  }
  return k;
}

/// The same for a statistic that is nearly normal.
size_t normal_interval_rank(double mean, double variance, double tail) {
  size_t k = 0;
  while (normal_tail((mean - static_cast<double>(k) - 0.5) / std::sqrt(variance)) <= tail) {
    ++k;
  }
  return k;
}

Estimate median_with_ends(std::vector<double> candidates, size_t k) {
  std::sort(candidates.begin(), candidates.end());
  const size_t n = candidates.size();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  return {0.5 * (candidates[(n - 1) / 2] + candidates[n / 2]), k == 0 ? -kInfinity : candidates[k - 1],
          k == 0 ? kInfinity : candidates[n - k]};
}

void check_values(std::span<const double> values) {
  for (const double value : values) {
    DDPM_CHECK(std::isfinite(value), "a value is {}", value);
  }
}

}  // namespace

OneSidedP rank_sum_test(std::span<const double> values, std::span<const double> others) {
  check_values(values);
  check_values(others);
  if (values.empty() || others.empty()) {
    return {};
  }
  std::vector<double> all(values.begin(), values.end());
  all.insert(all.end(), others.begin(), others.end());
  auto ranks = ranks_of(all);
  if (static_cast<int64_t>(all.size()) <= kMaxExactRankSum) {
    if (ranks.ties == 0) {  // whole numbers, and half the work
      for (auto& rank : ranks.twice) {
        rank /= 2;
      }
    }
    const auto end = ranks.twice.begin() + static_cast<std::ptrdiff_t>(values.size());
    const size_t found = std::accumulate(ranks.twice.begin(), end, size_t{0});
    return tails(subset_sums(ranks.twice, values.size()), found);
  }
  const auto n = static_cast<double>(values.size());
  const auto m = static_cast<double>(others.size());
  const auto end = ranks.twice.begin() + static_cast<std::ptrdiff_t>(values.size());
  const double sum = static_cast<double>(std::accumulate(ranks.twice.begin(), end, size_t{0})) / 2;
  const double variance = n * m / 12 * (n + m + 1 - ranks.ties / ((n + m) * (n + m - 1)));
  return normal_tails(sum, n * (n + m + 1) / 2, variance);
}

double smallest_rank_sum_p(int64_t n, int64_t m) {
  if (n + m > kMaxExactRankSum) {  // of the normal approximation, whatever the exact one would be
    const double product = static_cast<double>(n) * static_cast<double>(m);
    const double variance = product / 12 * static_cast<double>(n + m + 1);
    return normal_tails(product / 2, 0, variance).greater;
  }
  double p = 1;
  for (int64_t i = 1; i <= n; ++i) {
    p *= static_cast<double>(i) / static_cast<double>(m + i);
  }
  return p;
}

OneSidedP blocked_rank_sum_test(std::span<const double> values, std::span<const double> others,
                                int64_t blocks) {
  const auto n = static_cast<int64_t>(values.size());
  DDPM_CHECK(values.size() == others.size() && blocks >= 1 && blocks <= n, "{} and {} values, {} blocks", n,
             others.size(), blocks);
  if (blocks == 1 || 2 * (n / blocks + 1) > kMaxExactRankSum) {
    return rank_sum_test(values, others);
  }
  check_values(values);
  check_values(others);
  std::vector<double> chances = {1};
  size_t found = 0;
  for (int64_t block = 0; block < blocks; ++block) {
    const auto first = static_cast<size_t>(block_start(n, blocks, block));
    const auto count = static_cast<size_t>(block_start(n, blocks, block + 1)) - first;
    std::vector<double> all(values.begin() + static_cast<std::ptrdiff_t>(first),
                            values.begin() + static_cast<std::ptrdiff_t>(first + count));
    const auto other = others.subspan(first, count);
    all.insert(all.end(), other.begin(), other.end());
    const auto ranks = ranks_of(all);
    const auto end = ranks.twice.begin() + static_cast<std::ptrdiff_t>(count);
    found += std::accumulate(ranks.twice.begin(), end, size_t{0});
    chances = sums_of_both(chances, shares(subset_sums(ranks.twice, count)));
  }
  return tails(chances, found);
}

double smallest_blocked_rank_sum_p(int64_t n, int64_t blocks) {
  double p = 1;
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t count = block_start(n, blocks, block + 1) - block_start(n, blocks, block);
    p *= smallest_rank_sum_p(count, count);
  }
  return p;
}

double middle(std::span<const double> values) {
  DDPM_CHECK(!values.empty(), "no values");
  check_values(values);
  return median_with_ends({values.begin(), values.end()}, 0).value;
}

Estimate median(std::span<const double> values, double confidence) {
  DDPM_CHECK(!values.empty(), "no values");
  check_values(values);
  // The number of values below the median is the sum of as many coins.
  const auto below = coin_sums(std::vector<size_t>(values.size(), 1));
  return median_with_ends({values.begin(), values.end()}, interval_rank(below, (1 - confidence) / 2));
}

Estimate shift(std::span<const double> values, std::span<const double> others, double confidence) {
  DDPM_CHECK(!values.empty() && !others.empty(), "{} and {} values", values.size(), others.size());
  check_values(values);
  check_values(others);
  std::vector<double> differences;
  differences.reserve(values.size() * others.size());
  for (const double value : values) {
    for (const double other : others) {
      differences.push_back(value - other);
    }
  }
  const size_t all = values.size() + others.size();
  const double tail = (1 - confidence) / 2;
  if (static_cast<int64_t>(all) <= kMaxExactRankSum) {
    const auto sums = subset_sums(whole_ranks(all), values.size());
    const auto least = static_cast<std::ptrdiff_t>(values.size() * (values.size() + 1) / 2);
    return median_with_ends(std::move(differences), interval_rank({sums.begin() + least, sums.end()}, tail));
  }
  const auto pairs = static_cast<double>(differences.size());
  return median_with_ends(std::move(differences),
                          normal_interval_rank(pairs / 2, pairs * static_cast<double>(all + 1) / 12, tail));
}

Estimate paired_shift(std::span<const double> differences, double confidence) {
  DDPM_CHECK(!differences.empty(), "no differences");
  check_values(differences);
  std::vector<double> means;
  means.reserve(differences.size() * (differences.size() + 1) / 2);
  for (size_t i = 0; i < differences.size(); ++i) {
    for (size_t j = i; j < differences.size(); ++j) {
      means.push_back(0.5 * (differences[i] + differences[j]));
    }
  }
  const double tail = (1 - confidence) / 2;
  if (static_cast<int64_t>(differences.size()) <= kMaxExactDifferences) {
    return median_with_ends(std::move(means),
                            interval_rank(coin_sums(whole_ranks(differences.size())), tail));
  }
  const auto n = static_cast<double>(differences.size());
  return median_with_ends(std::move(means),
                          normal_interval_rank(n * (n + 1) / 4, n * (n + 1) * (2 * n + 1) / 24, tail));
}

}  // namespace ddpm_eval::core
