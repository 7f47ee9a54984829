#include "metrics/uncertainty.h"

#include "base/core/error.h"
#include "base/core/statistics.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace ddpm_eval::metrics {

JackknifeEstimate jackknife(double all, std::span<const double> without,
                            std::span<const double> without_pairs) {
  DDPM_CHECK(without.size() >= 2, "{} groups", without.size());
  DDPM_CHECK(2 * without_pairs.size() <= without.size(), "{} pairs of {} groups", without_pairs.size(),
             without.size());
  const auto groups = static_cast<double>(without.size());
  const auto spread = core::mean_and_sd(without);
  const double bias = (groups - 1) * (spread.mean - all);
  double variance = (groups - 1) * (groups - 1) / groups * spread.sd * spread.sd;
  if (!without_pairs.empty()) {
    double squares = 0;
    for (size_t pair = 0; pair < without_pairs.size(); ++pair) {
      const double quadratic = groups * all - (groups - 1) * (without[2 * pair] + without[2 * pair + 1]) +
                               (groups - 2) * without_pairs[pair];
      squares += quadratic * quadratic;
    }
    // Each combination also holds a little of all other pairs of groups, whose kernels have the same
    // variance.
    const double others = groups > 2 ? 2 * (groups - 2) / ((groups - 1) * (groups - 1)) +
                                           2 * (groups - 3) / ((groups - 1) * (groups - 1) * (groups - 2))
                                     : 0;
    const double quadratic = squares / static_cast<double>(without_pairs.size()) / (1 + others) / 2;
    variance = std::max(variance - quadratic, quadratic);
  }
  return {std::sqrt(variance), bias};
}

Interval interval_around(double centre, double deviation, double level, double freedom,
                         std::string estimand) {
  const double reach = core::student_t_quantile(0.5 * (1 + level), freedom) * deviation;
  return {std::move(estimand), centre, centre - reach, centre + reach};
}

void check_uncertainty_options(int64_t groups, double level) {
  if (groups < 4) {
    throw core::UsageError("a jackknife needs at least 4 groups, better 20 to 50, not {}", groups);
  }
  if (!(level > 0 && level < 1)) {
    throw core::UsageError("the level of an interval is between 0 and 1, not {}", level);
  }
}

}  // namespace ddpm_eval::metrics
