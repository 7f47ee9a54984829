#include "metrics/neighbour_intervals.h"

#include "base/core/error.h"
#include "base/core/statistics.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

namespace ddpm_eval::metrics {
namespace {

double quantile(double level, int64_t count) {
  return core::student_t_quantile(0.5 + level / 2, static_cast<double>(count - 1));
}

Uncertainty over_queries(double value, double level, std::string method, bool conditional_on_real) {
  Uncertainty found;
  found.value = value;
  found.level = level;
  found.method = std::move(method);
  found.conditional_on_real = conditional_on_real;
  return found;
}

Uncertainty of_share(double share, int64_t count, double level, const char* estimand,
                     bool conditional_on_real) {
  auto found = over_queries(share, level, "binomial", conditional_on_real);
  const auto n = static_cast<double>(count);
  found.deviation = std::sqrt(share * (1 - share) / n);
  const double t = quantile(level, count);
  const double shrink = 1 + t * t / n;
  const double centre = (share + t * t / (2 * n)) / shrink;
  const double half = t / shrink * std::sqrt(share * (1 - share) / n + t * t / (4 * n * n));
  found.at_count = {estimand, share, std::clamp(centre - half, 0.0, share),
                    std::clamp(centre + half, share, 1.0)};
  return found;
}

/// An interval of no width is none.
void withhold_where_all_agree(Uncertainty& found) {
  if (found.deviation <= 1e-12 * found.value) {
    found.at_count.reset();
    found.withheld = "no fake image tells another value than the others; score more of them";
  }
}

Uncertainty of_density(const NeighbourScores& scores, double level) {
  auto found = over_queries(scores.density, level, "mean over fake images", true);
  std::vector<double> densities;
  for (const int64_t balls : scores.balls_of_fake) {
    densities.push_back(static_cast<double>(balls) / static_cast<double>(scores.k));
  }
  found.deviation = core::mean_and_sd(densities).error();
  found.at_count =
      interval_around(scores.density, found.deviation, level, static_cast<double>(scores.fake - 1),
                      "the density of infinitely many fake images at these real ones");
  found.at_count->low = std::max(0.0, found.at_count->low);
  withhold_where_all_agree(found);
  return found;
}

Uncertainty of_coverage(const NeighbourScores& scores, double level) {
  auto found = over_queries(scores.coverage, level, "jackknife", true);
  std::vector<double> without;
  for (const int64_t balls : scores.sole_balls) {
    without.push_back(static_cast<double>(scores.balls_hit - balls) / static_cast<double>(scores.real));
  }
  found.deviation = jackknife(scores.coverage, without).deviation;
  auto interval =
      interval_around(scores.coverage, found.deviation, level, static_cast<double>(scores.fake - 1),
                      "the coverage of these real images by as many fake ones, on average");
  interval.low = std::max(0.0, interval.low);
  interval.high = std::min(1.0, interval.high);
  found.at_count = interval;
  withhold_where_all_agree(found);
  return found;
}

}  // namespace

NeighbourUncertainty neighbour_uncertainty(const NeighbourScores& scores, double level) {
  DDPM_CHECK(level > 0 && level < 1, "a level of {}", level);
  return {
      .precision = of_share(scores.precision, scores.fake, level,
                            "the precision of infinitely many fake images by these real ones", true),
      .recall = of_share(scores.recall, scores.real, level,
                         "the recall of infinitely many real images by these fake ones", false),
      .density = of_density(scores, level),
      .coverage = of_coverage(scores, level),
      .authenticity = of_share(scores.authenticity, scores.fake, level,
                               "the authenticity of infinitely many fake images by these real ones", true)};
}

}  // namespace ddpm_eval::metrics
