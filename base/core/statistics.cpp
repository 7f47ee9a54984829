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

/// The continued fraction of the incomplete beta function (DLMF 8.17.22) by Lentz's method. It converges fast
/// for x < (a + 1) / (a + b + 2), in some sqrt(max(a, b)) steps.
double beta_fraction(double a, double b, double x) {
  constexpr double kTiny = 1e-300;
  constexpr int kMostSteps = 100'000;
  const auto kept_from_zero = [](double value) { return std::abs(value) < kTiny ? kTiny : value; };
  double c = 1;
  double d = 1 / kept_from_zero(1 - (a + b) * x / (a + 1));
  double result = d;
  for (int step = 1; step <= kMostSteps; ++step) {
    const double m = step;
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / kept_from_zero(1 + even * d);
    c = kept_from_zero(1 + even / c);
    result *= d * c;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / kept_from_zero(1 + odd * d);
    c = kept_from_zero(1 + odd / c);
    result *= d * c;
    if (std::abs(d * c - 1) < 1e-15) {
      break;
    }
  }
  return result;
}

/// The regularised incomplete beta function I_x(a, b); `rest` is 1 - x, which may be too small to be had from
/// x.
double incomplete_beta(double a, double b, double x, double rest) {
  const double factor =
      std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + a * std::log(x) + b * std::log(rest));
  return x < (a + 1) / (a + b + 2) ? factor * beta_fraction(a, b, x) / a
                                   : 1 - factor * beta_fraction(b, a, rest) / b;
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

double student_t_quantile(double probability, double freedom) {
  DDPM_CHECK(probability > 0 && probability < 1, "probability is {}", probability);
  DDPM_CHECK(freedom > 0, "freedom is {}", freedom);
  if (probability == 0.5) {
    return 0;
  }
  const double tail = std::min(probability, 1 - probability);
  const auto beyond = [&](double t) {
    const double whole = freedom + t * t;
    return 0.5 * incomplete_beta(0.5 * freedom, 0.5, freedom / whole, t * t / whole);
  };
  double low = 0;
  double high = 1;
  while (beyond(high) > tail) {
    low = high;
    high *= 2;
  }
  for (double half = 0.5 * (low + high); low < half && half < high; half = 0.5 * (low + high)) {
    (beyond(half) > tail ? low : high) = half;
  }
  return probability < 0.5 ? -high : high;
}

double quantile(std::vector<double>& values, double share) {
  const double place = share * static_cast<double>(values.size() - 1);
  const auto below = values.begin() + static_cast<int64_t>(place);
  std::nth_element(values.begin(), below, values.end());
  const double low = *below;
  const double high = below + 1 == values.end() ? low : *std::min_element(below + 1, values.end());
  return low + (place - std::floor(place)) * (high - low);
}

}  // namespace ddpm_eval::core
