#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>

// What is said of how far a score may be from what it estimates. A score of N images differs from the one of
// infinitely many for two reasons, which are told apart: its expectation at N is another (the bias), and it
// scatters around that (the deviation). Drawing images with replacement, the usual bootstrap, is of no use
// for either: a set drawn so holds some 63 % of the images, and its score has about twice the bias.
namespace ddpm_eval::metrics {

/// Called now and then with the steps done and their number; what it throws ends the work.
using UncertaintyProgress = std::function<void(int64_t done, int64_t total)>;

/// An interval and what it is an interval of.
struct Interval {
  std::string estimand;  ///< in words, as "the score of infinitely many images"
  double centre = 0.0;
  double low = 0.0;  ///< not clamped: below 0 for a distance says that the images cannot tell it from 0
  double high = 0.0;
};

/// Of one score. What was not found is NaN or nullopt, and `withheld` says why.
struct Uncertainty {
  static constexpr double kNotFound = std::numeric_limits<double>::quiet_NaN();

  double value = kNotFound;             ///< the score itself
  double deviation = kNotFound;         ///< standard deviation of `value` over new images
  double bias = kNotFound;              ///< expectation of `value`, less its limit for infinitely many images
  double level = 0.0;                   ///< nominal coverage of both intervals
  std::optional<Interval> at_count;     ///< of the expectation at this number of images, around `value`
  std::optional<Interval> at_infinity;  ///< of the limit, around `value` - `bias`
  std::string withheld;                 ///< why an interval is missing; empty if both are there
  std::string method;                   ///< in words: "jackknife", "delta", "binomial"
  int64_t groups = 0;                   ///< of the jackknife
  bool conditional_on_real = false;     ///< the real side's own scatter and bias are left out
};

/// What the intervals of the jackknife are made of.
struct JackknifeEstimate {
  double deviation = 0.0;
  double bias = 0.0;
};

/// The delete-group jackknife (Quenouille 1956; Shao & Wu 1989) of a statistic whose value on all the data is
/// `all`: without[j] is its value without group j of g = without.size() >= 2 groups, and bias = (g - 1) (mean
/// of without - all), right to 1/N^2.
///
/// Its variance (g - 1) / g sum (without[j] - mean)^2 counts what is quadratic in the data twice, which is
/// all there is of a distance between equal distributions. Efron & Stein (1981) take it away through pairs:
/// without_pairs[p] is the value without both group 2p and group 2p + 1, and the mean square of
///   g all - (g - 1) (without[2p] + without[2p + 1]) + (g - 2) without_pairs[p],
/// where all that is linear cancels, is about twice the variance that the quadratic part has. It is what the
/// variance is at least. No pairs: no correction.
JackknifeEstimate jackknife(double all, std::span<const double> without,
                            std::span<const double> without_pairs = {});

/// The ends value -+ t deviation for Student's t with `freedom` degrees of freedom. Throws UsageError unless
/// `level` is in (0, 1).
Interval interval_around(double centre, double deviation, double level, double freedom, std::string estimand);

/// Throws UsageError unless a jackknife can have so many groups, and `level` is in (0, 1).
void check_uncertainty_options(int64_t groups, double level);

}  // namespace ddpm_eval::metrics
