#include "base/core/statistics.h"

#include "base/core/error.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace ddpm_eval::core {
namespace {

void check_finite(std::span<const double> values) {
  for (const double value : values) {
    DDPM_CHECK(std::isfinite(value), "a value is {}", value);
  }
}

/// The sums of `values` under all choices of signs, ascending.
std::vector<double> signed_sums(std::span<const double> values) {
  std::vector<double> sums = {0};
  for (const double value : values) {
    std::vector<double> more;
    more.reserve(2 * sums.size());
    for (const double sum : sums) {
      more.push_back(sum - value);
      more.push_back(sum + value);
    }
    sums = std::move(more);
  }
  std::sort(sums.begin(), sums.end());
  return sums;
}

}  // namespace

double MeanSd::error() const { return sd / std::sqrt(static_cast<double>(count)); }

MeanSd mean_and_sd(std::span<const double> values) {
  DDPM_CHECK(!values.empty(), "no values");
  check_finite(values);
  const auto n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0;
  for (const double value : values) {
    squares += (value - mean) * (value - mean);
  }
  return {static_cast<int64_t>(values.size()), mean, values.size() > 1 ? std::sqrt(squares / (n - 1)) : 0};
}

double sign_flip_p(std::span<const double> differences) {
  DDPM_CHECK(static_cast<int64_t>(differences.size()) <= kMaxSignFlips, "{} differences", differences.size());
  check_finite(differences);
  double observed = 0;
  double size = 0;
  for (const double difference : differences) {
    observed += difference;
    size += std::abs(difference);
  }
  const double least = std::abs(observed) - 1e-12 * size;
  if (least <= 0) {
    return 1;
  }
  const auto left = signed_sums(differences.first(differences.size() / 2));
  const auto right = signed_sums(differences.subspan(differences.size() / 2));
  // Pairs of half sums that reach `least`: as one half rises, fewer of the other are needed.
  uint64_t reaching = 0;
  auto from = right.end();
  for (const double sum : left) {
    while (from != right.begin() && sum + *std::prev(from) >= least) {
      --from;
    }
    reaching += static_cast<uint64_t>(right.end() - from);
  }
  // For every choice of signs there is its opposite.
  return std::ldexp(2 * static_cast<double>(reaching), -static_cast<int>(differences.size()));
}

double smallest_sign_flip_p(int64_t n) { return n > 0 ? std::ldexp(2.0, -static_cast<int>(n)) : 1; }

std::vector<double> holm(std::span<const double> p_values) {
  std::vector<size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p_values[a] < p_values[b]; });
  std::vector<double> corrected(p_values.size());
  double largest = 0;
  for (size_t rank = 0; rank < order.size(); ++rank) {
    largest = std::max(largest, static_cast<double>(order.size() - rank) * p_values[order[rank]]);
    corrected[order[rank]] = std::min(1.0, largest);
  }
  return corrected;
}

}  // namespace ddpm_eval::core
