#include "base/core/statistics.h"
#include "base/tensor/noise.h"
#include "metrics/extrapolation.h"
#include "metrics/frechet.h"
#include "metrics/frechet_interval.h"
#include "metrics/kernel_distance.h"
#include "metrics/neighbour_intervals.h"
#include "metrics/score_interval.h"
#include "tests/support/hashes.h"
#include "tests/support/normal_sets.h"

#include <cmath>
#include <string_view>
#include <tuple>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

// How often intervals hold what they are said to hold, over sets drawn anew from known distributions.
// Everything is drawn from fixed seeds.
namespace ddpm_eval::metrics {
namespace {

using testing::NormalSet;
using testing::shifted_normal;
using testing::standard_normal;
using testing::true_distance;

constexpr int64_t kReplicates = 500;
constexpr int64_t kManyReplicates = 2000;  ///< where both ends of what is allowed are near
constexpr double kLeast = 0.92;
constexpr double kMost = 0.98;

/// Two normal distributions, from one or both of which sets are drawn.
struct Setting {
  const char* name;
  NormalSet real, fake;
  int64_t real_count;  ///< 0: the real moments are known exactly
  int64_t fake_count;
};

std::vector<Setting> settings() {
  const auto near = [](int64_t dim) { return shifted_normal(dim, 0.5, 1.2); };
  const auto far = [](int64_t dim) { return shifted_normal(dim, 1.5, 1.5); };
  return {
      {"8 features, 40 images, exact reference", standard_normal(8), far(8), 0, 40},
      {"8 features, 40 and 40 images", standard_normal(8), far(8), 40, 40},
      {"8 features, 40 and 40 images, near", standard_normal(8), near(8), 40, 40},
      {"8 features, 160 and 80 images", standard_normal(8), shifted_normal(8, 1.0, 0.5), 160, 80},
      {"16 features, 80 images, exact reference", standard_normal(16), far(16), 0, 80},
      {"16 features, 80 and 80 images", standard_normal(16), far(16), 80, 80},
      {"16 features, 320 and 160 images, near", standard_normal(16), near(16), 320, 160},
      {"16 features, 640 and 640 images, near", standard_normal(16), near(16), 640, 640},
  };
}

/// What was found over all replicates.
struct Found {
  std::vector<Uncertainty> all;
  double expected = 0.0;   ///< mean of the values
  double scatter = 0.0;    ///< their standard deviation
  double deviation = 0.0;  ///< root of the mean of squared estimates of that
  double bias = 0.0;       ///< mean of the estimates
};

template <class Draw>
Found repeat(int64_t replicates, const Draw& draw) {
  Found found;
  std::vector<double> values;
  for (int64_t replicate = 0; replicate < replicates; ++replicate) {
    found.all.push_back(draw(replicate));
    const auto& one = found.all.back();
    values.push_back(one.value);
    found.deviation += one.deviation * one.deviation / static_cast<double>(replicates);
    found.bias += one.bias / static_cast<double>(replicates);
  }
  found.deviation = std::sqrt(found.deviation);
  const auto spread = core::mean_and_sd(values);
  found.expected = spread.mean;
  found.scatter = spread.sd;
  return found;
}

/// The draws are a function of the setting's name.
Found repeat(const Setting& setting, IntervalMethod method, int64_t replicates) {
  const auto exact = exact_moments(setting.real);
  const uint64_t seed = testing::fnv1a(setting.name);
  return repeat(replicates, [&](int64_t replicate) {
    const auto fake = setting.fake.draw(seed, replicate, setting.fake_count);
    return setting.real_count == 0
               ? frechet_interval(exact, fake, {.method = method})
               : frechet_interval(setting.real.draw(seed + 1, replicate, setting.real_count), fake,
                                  {.method = method});
  });
}

/// The share of the intervals given that hold `truth`; none given: NaN.
double coverage(const Found& found, std::optional<Interval> Uncertainty::*which, double truth) {
  int64_t given = 0, held = 0;
  for (const auto& one : found.all) {
    if (const auto& interval = one.*which) {
      ++given;
      held += interval->low <= truth && truth <= interval->high ? 1 : 0;
    }
  }
  return static_cast<double>(held) / static_cast<double>(given);
}

double share_given(const Found& found) {
  int64_t given = 0;
  for (const auto& one : found.all) {
    given += one.at_infinity ? 1 : 0;
  }
  return static_cast<double>(given) / static_cast<double>(found.all.size());
}

struct Covered {
  double at_count, at_infinity;
};

Covered report(const char* name, const Found& found, double truth) {
  const Covered covered{coverage(found, &Uncertainty::at_count, found.expected),
                        coverage(found, &Uncertainty::at_infinity, truth)};
  const double given = share_given(found);
  fmt::print("{}: truth {:.4f}, bias {:.4f} (estimated {:.4f}), deviation {:.4f} ({:.4f})\n", name, truth,
             found.expected - truth, found.bias, found.scatter, found.deviation);
  fmt::print("  held at this count {:.1f} %{}\n", 100 * covered.at_count,
             given > 0 ? fmt::format(", at infinity {:.1f} % of the {:.0f} % given",
                                     100 * covered.at_infinity, 100 * given)
                       : "");
  return covered;
}

void expect_coverage(const char* name, double share) {
  EXPECT_GE(share, kLeast) << name;
  EXPECT_LE(share, kMost) << name;
}

TEST(SlowFrechetCoverage, OfTheJackknife) {
  for (const auto& setting : settings()) {
    const auto found = repeat(setting, IntervalMethod::kJackknife, kManyReplicates);
    const double truth = true_distance(setting.real, setting.fake);
    const auto covered = report(setting.name, found, truth);
    expect_coverage(setting.name, covered.at_count);
    expect_coverage(setting.name, covered.at_infinity);
    EXPECT_EQ(share_given(found), 1.0) << setting.name;
    EXPECT_NEAR(found.deviation, found.scatter, 0.15 * found.scatter) << setting.name;
    EXPECT_NEAR(found.bias, found.expected - truth, 0.1 * (found.expected - truth)) << setting.name;
  }
}

TEST(SlowFrechetCoverage, OfTheDeltaMethod) {
  for (const auto& setting : settings()) {
    const auto found = repeat(setting, IntervalMethod::kDelta, kReplicates);
    const double truth = true_distance(setting.real, setting.fake);
    const auto covered = report(setting.name, found, truth);
    expect_coverage(setting.name, covered.at_count);
    EXPECT_NEAR(found.deviation, found.scatter, 0.2 * found.scatter) << setting.name;
    EXPECT_NEAR(found.bias, found.expected - truth, 0.25 * (found.expected - truth)) << setting.name;
  }
}

// Equal distributions: the first derivative vanishes, and all scatter is quadratic.
TEST(SlowFrechetCoverage, OfADistanceOfZero) {
  for (const int64_t count : {0, 160}) {
    const Setting setting{count == 0 ? "distance 0, exact reference" : "distance 0", standard_normal(16),
                          standard_normal(16), count, 160};
    for (const auto method : {IntervalMethod::kJackknife, IntervalMethod::kDelta}) {
      const auto name =
          fmt::format("{}, {}", setting.name, method == IntervalMethod::kDelta ? "delta" : "jackknife");
      const auto found = repeat(setting, method, kReplicates);
      const auto covered = report(name.c_str(), found, 0.0);
      EXPECT_GE(covered.at_count, kLeast) << name;
    }
  }
}

// Why there is no bootstrap here: a set drawn with replacement from N images has the bias of N a second time.
TEST(SlowFrechetCoverage, DrawingWithReplacementDoublesTheBias) {
  const int64_t count = 200, dim = 8;
  const auto real = standard_normal(dim), fake = shifted_normal(dim, 0.5, 1.2);
  double once = 0.0, twice = 0.0;
  for (int64_t replicate = 0; replicate < kReplicates; ++replicate) {
    const auto features = fake.draw(3, replicate, count);
    const auto chosen =
        tensor::integers({4, "test.bootstrap"}, tensor::index_range(0, count), replicate, count);
    once += frechet_distance(exact_moments(real), moments_of(features)).distance;
    twice += frechet_distance(exact_moments(real), moments_of(features.index_select(0, chosen))).distance;
  }
  const double truth = true_distance(real, fake) * static_cast<double>(kReplicates);
  fmt::print("bias drawn with replacement: {:.2f} times\n", (twice - truth) / (once - truth));
  EXPECT_NEAR((twice - truth) / (once - truth), 2.0, 0.3);
}

/// A network that knows a few images: each is drawn with its probability.
struct KnownImages {
  at::Tensor logits;  ///< float32 [kinds, classes]
  at::Tensor share;   ///< float64 [kinds]

  at::Tensor draw(int64_t replicate, int64_t count) const {
    const auto where = tensor::uniform_rows({5, "test.kinds"}, tensor::index_range(0, count), replicate, {1});
    const auto kind = at::searchsorted(share.cumsum(0), where.flatten().to(at::kDouble), false, true);
    return logits.index_select(0, kind.clamp_max(logits.size(0) - 1));
  }
  double score() const {
    const auto log_p = logits.to(at::kDouble).log_softmax(1);
    const auto marginal = at::mv(log_p.exp().t(), share);
    return std::exp(share.dot((log_p.exp() * (log_p - marginal.log())).sum(1)).item<double>());
  }
};

KnownImages known_images() {
  return {standard_normal(20).draw(6, 0, 30) * 2.0F,
          torch::softmax(torch::linspace(0.0, 2.0, 30, at::kDouble), 0)};
}

TEST(SlowScoreCoverage, OfTheJackknife) {
  const auto images = known_images();
  for (const int64_t splits : {1, 10}) {
    for (const int64_t count : {500, 2000}) {
      const auto name = fmt::format("{} images in {} splits", count, splits);
      const auto found = repeat(kReplicates, [&](int64_t replicate) {
        return score_interval(images.draw(replicate, count), {.score = {splits, std::nullopt}});
      });
      const auto covered = report(name.c_str(), found, images.score());
      expect_coverage(name.c_str(), covered.at_count);
      expect_coverage(name.c_str(), covered.at_infinity);
      EXPECT_NEAR(found.deviation, found.scatter, 0.15 * found.scatter) << name;
    }
  }
}

/// One side is drawn once, and the other, whose images are asked about, again and again.
Found repeat(const char* asked, Uncertainty NeighbourUncertainty::*score) {
  constexpr int64_t kCount = 100, kOnce = 1'000'000;
  const auto real = standard_normal(8), fake = shifted_normal(8, 1.0, 1.2);
  const bool new_reals = std::string_view(asked) == "recall";
  return repeat(kManyReplicates, [&](int64_t replicate) {
    return neighbour_uncertainty(neighbour_scores(real.draw(11, new_reals ? replicate : kOnce, kCount),
                                                  fake.draw(12, new_reals ? kOnce : replicate, kCount))).*
           score;
  });
}

TEST(SlowNeighbourCoverage, OfNewImagesOnTheSideThatIsAsked) {
  for (const auto& [name, score, most] :
       {std::tuple{"precision", &NeighbourUncertainty::precision, kMost},
        {"recall", &NeighbourUncertainty::recall, kMost},
        {"density", &NeighbourUncertainty::density, kMost},
        {"authenticity", &NeighbourUncertainty::authenticity, kMost},
        {"coverage", &NeighbourUncertainty::coverage, 1.0}}) {  // a jackknife may be wide here
    const auto found = repeat(name, score);
    const auto covered = report(name, found, found.expected);
    EXPECT_GE(covered.at_count, kLeast) << name;
    EXPECT_LE(covered.at_count, most) << name;
    EXPECT_GE(found.deviation, 0.9 * found.scatter) << name;
    EXPECT_LE(found.deviation, (most < 1 ? 1.1 : 1.8) * found.scatter) << name;
  }
}

/// As `--interval` has them: Student's t of one degree of freedom less than the smaller set has images.
double kernel_coverage(const NormalSet& fake) {
  constexpr int64_t kCount = 300;
  const auto real = standard_normal(8);
  const auto found = repeat(kManyReplicates, [&](int64_t replicate) {
    const auto estimate = kernel_estimate(real.draw(13, replicate, kCount), fake.draw(14, replicate, kCount));
    Uncertainty one;
    one.value = estimate.value;
    one.deviation = estimate.standard_error.value_or(0);
    one.at_count = interval_around(estimate.value, one.deviation, 0.95, kCount - 1, "");
    return one;
  });
  return report(fmt::format("KID of {:.3f}", found.expected).c_str(), found, found.expected).at_count;
}

TEST(SlowKernelCoverage, OfTheAnalyticDeviation) {
  expect_coverage("far", kernel_coverage(shifted_normal(8, 1.5, 1.5)));
  expect_coverage("near", kernel_coverage(shifted_normal(8, 0.5, 1.2)));
  // Between equal distributions the part of the variance by images is 0, and its estimate never below that.
  EXPECT_GE(kernel_coverage(standard_normal(8)), kLeast);
}

/// Of intercepts, by Student's t with as many degrees of freedom as there are sizes less two.
template <class Fit>
void check_extrapolation(const std::string& name, double truth, const Fit& fit) {
  std::vector<double> intercepts;
  double deviation = 0.0;
  int64_t held = 0;
  for (int64_t replicate = 0; replicate < kReplicates; ++replicate) {
    const Extrapolation found = fit(replicate);
    intercepts.push_back(found.intercept);
    deviation += found.intercept_deviation * found.intercept_deviation / static_cast<double>(kReplicates);
    const double reach = core::student_t_quantile(0.975, static_cast<double>(found.sizes.size()) - 2) *
                         found.intercept_deviation;
    held += std::abs(found.intercept - truth) <= reach ? 1 : 0;
  }
  const auto spread = core::mean_and_sd(intercepts);
  const double share = static_cast<double>(held) / static_cast<double>(kReplicates);
  fmt::print("{}: truth {:.4f}, intercept {:.4f}, deviation {:.4f} (estimated {:.4f}), held {:.1f} %\n", name,
             truth, spread.mean, spread.sd, std::sqrt(deviation), 100 * share);
  expect_coverage(name.c_str(), share);
  EXPECT_NEAR(spread.mean, truth, 4 * spread.error() + 0.15 * spread.sd) << name;
}

TEST(SlowExtrapolationCoverage, OfFrechetInfinity) {
  for (const auto& [dim, count] : std::vector<std::pair<int64_t, int64_t>>{{8, 400}, {16, 1600}}) {
    const auto real = standard_normal(dim), fake = shifted_normal(dim, 1.5, 1.5);
    const auto exact = exact_moments(real);
    check_extrapolation(
        fmt::format("FID-infinity, {} features, {} images", dim, count), true_distance(real, fake),
        [&](int64_t replicate) { return frechet_infinity(exact, fake.draw(7, replicate, count)); });
  }
}

TEST(SlowExtrapolationCoverage, OfScoreInfinity) {
  const auto images = known_images();
  check_extrapolation("IS-infinity, 2000 images", images.score(),
                      [&](int64_t replicate) { return score_infinity(images.draw(replicate, 2000)); });
}

}  // namespace
}  // namespace ddpm_eval::metrics
