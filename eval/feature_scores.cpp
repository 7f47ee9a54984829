#include "eval/feature_scores.h"

#include "base/core/error.h"
#include "base/core/seconds_since.h"
#include "base/core/statistics.h"
#include "eval/console.h"
#include "eval/side_score_parts.h"
#include "metrics/kernel_distance.h"
#include "metrics/memorization.h"
#include "metrics/monge_distance.h"
#include "metrics/neighbour_intervals.h"
#include "metrics/neighbours.h"
#include "metrics/point_distances.h"
#include "metrics/vendi_score.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <numeric>
#include <utility>

namespace ddpm_eval::eval {
namespace {

constexpr int64_t kImagesAFeature = 20;  ///< from which on a Vendi score is near its limit

metrics::KernelDistanceRule kernel_rule(const SideRules& rules) {
  const auto& kid = rules.options.kid;
  auto rule = *rules.preset.kernel_distance;
  rule.subsets = kid.subsets.value_or(rule.subsets);
  rule.subset_size = kid.subset_size.value_or(rule.subset_size);
  if (kid.seed) {
    rule.seed = kid.seed;
  }
  rule.kernel.kind = kid.kind.value_or(rule.kernel.kind);
  rule.kernel.degree = kid.degree.value_or(rule.kernel.degree);
  if (kid.gamma) {
    rule.kernel.gamma = kid.gamma;
  }
  rule.kernel.coef = kid.coef.value_or(rule.kernel.coef);
  rule.kernel.sigma = kid.sigma.value_or(rule.kernel.sigma);
  // Distances as differences of large products: in float32 these would be what a narrow kernel sees.
  if (rule.kernel.kind == metrics::Kernel::Kind::kRbf) {
    rule.arithmetic = metrics::KernelArithmetic::kFloat64;
  }
  return rule;
}

metrics::NeighbourRule neighbour_rule(const SideRules& rules) {
  auto rule = *rules.preset.neighbours;
  rule.k = rules.options.neighbours.value_or(rule.k);
  return rule;
}

void add_kernel(const Side& real, const Side& fake, const SideRules& rules, SideScores& scores,
                const Session& session) {
  const auto start = std::chrono::steady_clock::now();
  const auto rule = kernel_rule(rules);
  const auto found = naming_sources(fake, rules.options, [&] {
    return metrics::kernel_distance(real.features, fake.features, rule,
                                    watched_progress("kernel distance", "pairs", session.quiet));
  });
  const std::string stem =
      rules.standard && rule.kernel == metrics::Kernel() ? "kernel_inception_distance" : "kernel_distance";
  scores.metrics[stem + "_mean"] = found.mean;
  scores.metrics[stem + "_std"] = found.std;
  scores.parts["kernel"] = {{"rules", rules.preset.name},
                            {"kernel", metrics::describe(rule.kernel)},
                            {"subsets", found.subsets},
                            {"subset_size", found.subset_size},
                            {"seed", rule.seed.value_or(metrics::kSubsetSeed)},
                            {"seconds", core::seconds_since(start)}};
  if (found.all_pairs) {
    scores.metrics[stem] = found.all_pairs->value;
    scores.parts["kernel"]["variance_of_images"] = found.all_pairs->variance_of_images;
    scores.parts["kernel"]["variance_of_pairs"] = found.all_pairs->variance_of_pairs;
  }
  if (found.all_pairs && !found.all_pairs->standard_error) {
    note_withheld(stem, "it takes at least 4 images on a side", rules, scores);
  }
  if (found.all_pairs && found.all_pairs->standard_error) {
    auto& uncertainty = add_standard_error(stem, *found.all_pairs->standard_error,
                                           "the distance of the distributions that both sets were drawn from",
                                           "analytic variance of the U-statistic", scores);
    if (rules.options.interval) {
      const auto fewer = std::min(real.features.size(0), fake.features.size(0));
      const auto interval =
          metrics::interval_around(found.all_pairs->value, *found.all_pairs->standard_error, kIntervalLevel,
                                   static_cast<double>(fewer - 1), "the distance of the distributions");
      add_interval("at_infinity", interval, uncertainty);
    }
  }
}

/// Standard errors, and the intervals where these are asked for.
void add_neighbour_uncertainty(const metrics::NeighbourScores& found, const SideRules& rules,
                               SideScores& scores) {
  const auto all = metrics::neighbour_uncertainty(found, kIntervalLevel);
  for (const auto& [metric, one] : {std::pair{"precision", &all.precision},
                                    {"recall", &all.recall},
                                    {"density", &all.density},
                                    {"coverage", &all.coverage},
                                    {"authenticity", &all.authenticity}}) {
    if (rules.options.interval) {
      add_uncertainty(metric, *one, scores);
      continue;
    }
    auto& uncertainty = add_standard_error(metric, one->deviation,
                                           one->at_count ? one->at_count->estimand : "", one->method, scores);
    uncertainty["conditional_on_real"] = one->conditional_on_real;
  }
}

/// How near fake images come to real ones, for those who look for copies.
void add_copies(const metrics::NeighbourScores& found, Json& parts) {
  constexpr size_t kShown = 10;
  auto distances = found.nearest_distance;
  std::vector<size_t> nearest(distances.size());
  std::iota(nearest.begin(), nearest.end(), size_t{0});
  const auto shown = nearest.begin() + static_cast<int64_t>(std::min(kShown, nearest.size()));
  std::ranges::partial_sort(nearest, shown, {},
                            [&](size_t fake) { return std::pair(distances[fake], fake); });
  Json pairs = Json::array();
  for (auto fake = nearest.begin(); fake != shown; ++fake) {
    pairs.push_back({{"fake", *fake}, {"real", found.nearest_real[*fake]}, {"distance", distances[*fake]}});
  }
  constexpr std::array<double, 7> kShares{0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 1.0};
  Json quantiles = Json::array();
  for (const double share : kShares) {
    quantiles.push_back(core::quantile(distances, share));
  }
  parts["nearest"] = pairs.front();
  parts["nearest_pairs"] = std::move(pairs);
  parts["nearest_distances"] = {{"shares", kShares}, {"quantiles", std::move(quantiles)}};
  parts["copies"] = std::ranges::count(distances, 0.0);
}

void add_neighbours(const Side& real, const Side& fake, const SideRules& rules, SideScores& scores,
                    const Session& session) {
  const auto start = std::chrono::steady_clock::now();
  const auto rule = neighbour_rule(rules);
  const auto found = naming_sources(fake, rules.options, [&] {
    return metrics::neighbour_scores(real.features, fake.features, rule,
                                     watched_progress("nearest neighbours", "pairs", session.quiet));
  });
  scores.metrics["precision"] = found.precision;
  scores.metrics["recall"] = found.recall;
  scores.metrics["f_score"] = found.f_score;
  scores.metrics["density"] = found.density;
  scores.metrics["coverage"] = found.coverage;
  scores.metrics["authenticity"] = found.authenticity;
  auto& parts = scores.parts["neighbours"];
  parts = {{"rules", rules.preset.name},
           {"k", found.k},
           {"radius", rule.inclusive ? "included" : "excluded"},
           {"fakes_in_balls", found.fakes_in_balls},
           {"reals_in_balls", found.reals_in_balls},
           {"hits", found.hits},
           {"balls_hit", found.balls_hit},
           {"authentic", found.authentic},
           {"expected_coverage", metrics::expected_coverage(found.real, found.fake, found.k)},
           {"seconds", core::seconds_since(start)}};
  add_copies(found, parts);
  add_neighbour_uncertainty(found, rules, scores);
}

/// Of a score that is without one.
void note_no_interval(const std::string& metric, const SideRules& rules, SideScores& scores) {
  note_withheld(metric, "none is known for it", rules, scores);
}

void add_sliced(const Side& real, const Side& fake, const SideRules& rules, SideScores& scores,
                const Session& session) {
  const auto start = std::chrono::steady_clock::now();
  scores.metrics["sliced_wasserstein_distance"] = naming_sources(fake, rules.options, [&] {
    return metrics::sliced_wasserstein(
        real.features, fake.features, metrics::kFeatureDirections,
        watched_progress("sliced Wasserstein distance", "directions", session.quiet));
  });
  scores.metrics["sliced_wasserstein_approximation"] =
      metrics::sliced_wasserstein_approximation(real.features, fake.features);
  note_no_interval("sliced_wasserstein_distance", rules, scores);
  scores.parts["sliced_wasserstein"] = {{"projections", metrics::kFeatureDirections.projections},
                                        {"p", metrics::kFeatureDirections.p},
                                        {"seed", metrics::kFeatureDirections.seed},
                                        {"seconds", core::seconds_since(start)}};
}

void add_monge(const Side& real, const Side& fake, const SideRules& rules, SideScores& scores,
               const Session& session) {
  const auto start = std::chrono::steady_clock::now();
  const metrics::MongeDistanceRule rule;
  const auto found = naming_sources(fake, rules.options, [&] {
    return metrics::monge_distance(real.features, fake.features, rule,
                                   watched_progress("MIND", "directions", session.quiet));
  });
  const std::string metric = rules.standard ? "monge_inception_distance" : "monge_distance";
  scores.metrics[metric] = found.value;
  note_no_interval(metric, rules, scores);
  if (real.features.size(0) != fake.features.size(0)) {
    scores.notes.push_back(
        fmt::format("{}: of {} images on each side, the larger one cut to a random subset, as the tool does",
                    metric, found.count));
  }
  scores.parts["monge"] = {{"projections", rule.projections},
                           {"seed", rule.seed},
                           {"count", found.count},
                           {"seconds", core::seconds_since(start)}};
}

void add_vendi(const Side& fake, const SideRules& rules, SideScores& scores) {
  const auto start = std::chrono::steady_clock::now();
  const auto found = naming_sources(fake, rules.options, [&] { return metrics::vendi_score(fake.features); });
  scores.metrics["vendi_score"] = found.value;
  scores.parts["vendi"] = {{"kernel", "cosine"}, {"order", 1}, {"seconds", core::seconds_since(start)}};
  const int64_t count = fake.features.size(0), dim = fake.features.size(1);
  constexpr double kRounding = 1e-12;
  if (found.standard_error && *found.standard_error < kRounding * found.value) {
    note_withheld("vendi_score", "no image tells another value than the others", rules, scores);
  } else if (found.standard_error) {
    const auto estimand = fmt::format("the mean score of {} images", count);
    auto& uncertainty = add_standard_error("vendi_score", *found.standard_error, estimand, "delta", scores);
    if (rules.options.interval) {
      add_interval("at_count",
                   metrics::interval_around(found.value, *found.standard_error, kIntervalLevel,
                                            static_cast<double>(count - 1), estimand),
                   uncertainty);
    }
  } else {
    note_withheld("vendi_score",
                  fmt::format("{} images for {} features, and it takes two images a feature", count, dim),
                  rules, scores);
  }
  if (rules.tells_bias && count < kImagesAFeature * dim) {
    scores.notes.push_back(
        fmt::format("vendi_score: it rises with the number of images, here {} for {} features: compare it at "
                    "equal counts",
                    count, dim));
  }
}

}  // namespace

void require_counts(const SideRules& rules, std::optional<int64_t> real, std::optional<int64_t> fake) {
  const auto require = [&](int64_t least, const char* what, const char* flag) {
    for (const auto& [side, source, count] :
         {std::tuple{"--real", rules.options.real, real}, {"--fake", rules.options.fake, fake}}) {
      if (count && *count < least) {
        throw core::UsageError("{} {} has {} images, but {} takes at least {}: set a smaller {}", side,
                               source, *count, what, least, flag);
      }
    }
  };
  if (rules.options.wanted.kernel) {
    const auto rule = kernel_rule(rules);
    metrics::check_kernel(rule.kernel);
    if (!rule.shrink) {
      require(rule.subset_size, "a subset", "--kid-subset-size");
    }
  }
  if (rules.options.wanted.neighbours) {
    require(neighbour_rule(rules).k + 1, "a neighbourhood", "--neighbours");
  }
}

void add_feature_scores(const Side* real, const Side& fake, const SideRules& rules, SideScores& scores,
                        const Session& session) {
  const auto& wanted = rules.options.wanted;
  if (wanted.kernel) {
    add_kernel(*real, fake, rules, scores, session);
  }
  if (wanted.neighbours) {
    add_neighbours(*real, fake, rules, scores, session);
  }
  if (wanted.sliced) {
    add_sliced(*real, fake, rules, scores, session);
  }
  if (wanted.monge) {
    add_monge(*real, fake, rules, scores, session);
  }
  if (wanted.vendi) {
    add_vendi(fake, rules, scores);
  }
}

void add_memorization_informed(const Side& real, const Side& fake, double frechet, const SideRules& rules,
                               SideScores& scores, const Session& session) {
  const auto start = std::chrono::steady_clock::now();
  const double distance = naming_sources(fake, rules.options, [&] {
    return metrics::nearest_cosine_distance(real.features, fake.features,
                                            watched_progress("nearest images", "pairs", session.quiet));
  });
  const std::string metric = "memorization_informed_" + rules.frechet_key;
  scores.metrics[metric] = metrics::memorization_informed_distance(frechet, distance);
  note_no_interval(metric, rules, scores);
  scores.parts["memorization"] = {{"nearest_cosine_distance", distance},
                                  {"threshold", metrics::kMemorizationThreshold},
                                  {"below", distance < metrics::kMemorizationThreshold},
                                  {"seconds", core::seconds_since(start)}};
}

}  // namespace ddpm_eval::eval
