#include "eval/side_scores.h"

#include "base/core/error.h"
#include "base/core/seconds_since.h"
#include "eval/class_scores.h"
#include "eval/comparability.h"
#include "eval/console.h"
#include "metrics/extrapolation.h"
#include "metrics/inception_score.h"
#include "metrics/kernel_distance.h"
#include "metrics/neighbour_intervals.h"
#include "metrics/neighbours.h"
#include "metrics/point_distances.h"
#include "metrics/score_interval.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace ddpm_eval::eval {
namespace {

/// What `action` returns; where it finds the data wanting, the message names the sources.
template <class Action>
auto naming_sources(const Side& fake, const ScoreOptions& options, const Action& action) {
  try {
    return action();
  } catch (const core::DataError& error) {
    const auto source = text_field(fake.record, "source");
    throw options.real.empty()
        ? core::DataError("{}: {}", source, error.what())
        : core::DataError("--real {} against {}: {}", options.real, source, error.what());
  }
}

constexpr const char* kSameImages =
    "both sides are the same images, and intervals are of sets drawn independently: these do not hold";
constexpr double kIntervalLevel = 0.95;  ///< of intervals

metrics::KernelDistanceRule kernel_rule(const SideRules& rules) {
  auto rule = *rules.preset.kernel_distance;
  rule.subsets = rules.options.kid_subsets.value_or(rule.subsets);
  rule.subset_size = rules.options.kid_subset_size.value_or(rule.subset_size);
  if (rules.options.kid_seed) {
    rule.seed = rules.options.kid_seed;
  }
  return rule;
}

metrics::NeighbourRule neighbour_rule(const SideRules& rules) {
  auto rule = *rules.preset.neighbours;
  rule.k = rules.options.neighbours.value_or(rule.k);
  return rule;
}

Json interval_json(const metrics::Interval& interval) {
  return {{"estimand", interval.estimand}, {"low", interval.low}, {"high", interval.high}};
}

/// Adds the uncertainty of a metric, and a note where an interval is withheld.
void add_uncertainty(const std::string& metric, const metrics::Uncertainty& found, SideScores& scores) {
  Json json = {{"method", found.method}, {"level", found.level}};
  if (found.groups > 0) {
    json["groups"] = found.groups;
  }
  const auto add = [&](const char* key, double value) {
    if (std::isfinite(value)) {
      json[key] = value;
    }
  };
  add("standard_error", found.deviation);
  add("bias", found.bias);
  if (found.at_count) {
    json["at_count"] = interval_json(*found.at_count);
  }
  if (found.at_infinity) {
    json["at_infinity"] = interval_json(*found.at_infinity);
  }
  if (!found.withheld.empty()) {
    json["withheld"] = found.withheld;
    const char* which = found.at_count ? ": no interval for " : ": no interval: ";
    scores.notes.push_back(metric + which + found.withheld);
  }
  json["conditional_on_real"] = found.conditional_on_real;
  scores.uncertainty[metric] = std::move(json);
}

Json extrapolation_json(const metrics::Extrapolation& fit) {
  return {{"sizes", fit.sizes}, {"values", fit.values}, {"slope", fit.slope}, {"r_squared", fit.r_squared}};
}

void add_extrapolation(const std::string& name, const metrics::Extrapolation& fit, SideScores& scores) {
  scores.metrics[name] = fit.intercept;
  scores.uncertainty[name] = {
      {"standard_error", fit.intercept_deviation},
      {"estimand", "the score of infinitely many images of the fake side"},
      {"method",
       "of the intercept of a line in 1 / N through nested subsets, with the increments "
       "from one to the next taken as independent"}};
  scores.parts[name] = extrapolation_json(fit);
  for (const auto& note : fit.notes) {
    scores.notes.push_back(name + ": " + note);
  }
}

void add_inception_score(const Side& fake, const SideRules& rules, SideScores& scores) {
  const auto& rule = *rules.preset.inception_score;
  const auto score =
      naming_sources(fake, rules.options, [&] { return metrics::inception_score(fake.logits, rule); });
  const std::string stem = inception_score_key(rules.standard_classes);
  scores.metrics[stem + "_mean"] = score.mean;
  if (score.std) {
    scores.metrics[stem + "_std"] = *score.std;
  }
  scores.parts[stem] = {{"splits", score.splits},
                        {"order", rule.shuffle_seed ? "shuffled" : "given"},
                        {"estimator", "plug-in, biased downwards by few images in a split"}};
  const int64_t in_split = fake.logits.count() / score.splits;
  const bool few = rules.tells_bias && in_split < fake.logits.columns();
  if (!rules.options.interval && !few) {
    return;
  }
  const auto found = naming_sources(
      fake, rules.options, [&] { return metrics::score_interval(fake.logits.read_all(), {.score = rule}); });
  if (rules.options.interval) {
    add_uncertainty(stem + "_mean", found, scores);
  }
  if (few) {
    scores.notes.push_back(fmt::format(
        "{}_mean: a split has {} images for {} classes, and the score reads too low{}", stem, in_split,
        fake.logits.columns(), found.bias < 0 ? fmt::format(", by some {:.2g}", -found.bias) : ""));
  }
}

void add_frechet_interval(const Side& real, const Side& fake, const SideRules& rules, SideScores& scores,
                          const Session& session) {
  const auto start = std::chrono::steady_clock::now();
  const metrics::FrechetIntervalOptions options{.method = *rules.options.interval};
  const auto progress = watched_progress("interval of the Frechet distance", "steps", session.quiet);
  const auto found = naming_sources(fake, rules.options, [&] {
    return real.features.defined()
               ? metrics::frechet_interval(real.features, fake.features, options, progress)
               : metrics::frechet_interval(real.moments, fake.features, options, progress);
  });
  add_uncertainty(rules.frechet_key, found, scores);
  if (real.features.defined() && at::equal(real.features, fake.features)) {
    scores.notes.push_back(rules.frechet_key + ": " + kSameImages);
  }
  scores.uncertainty[rules.frechet_key]["seconds"] = core::seconds_since(start);
}

void add_frechet_infinity(const Side& real, const Side& fake, const SideRules& rules, SideScores& scores,
                          const Session& session) {
  const auto fit = naming_sources(fake, rules.options, [&] {
    return metrics::frechet_infinity(
        real.moments, fake.features, {},
        watched_progress("Frechet distance of infinitely many images", "sizes", session.quiet));
  });
  add_extrapolation(rules.frechet_key + "_infinity", fit, scores);
}

/// How much of the distance of few images there is because they are few.
void add_bias_of_few(const metrics::Moments& real, const metrics::Moments& fake, const SideRules& rules,
                     SideScores& scores) {
  const auto distance = scores.metrics[rules.frechet_key].get<double>();
  const auto bias = metrics::bias_of_few(real, fake, distance).value_or(0);
  if (bias > 0 && bias < distance) {
    const bool very_few = 2 * fake.count <= fake.mean.size(0);
    scores.notes.push_back(
        fmt::format("{}: about {:.2g} of the {:.4g}{} is the bias of {} images, as random halves of them "
                    "are so much farther away",
                    rules.frechet_key, bias, distance, very_few ? ", and likely more," : "", fake.count));
    scores.parts["frechet"]["bias_of_few"] = bias;
  }
}

/// The distance of moments, of which those of the fake side are used up: metrics[key], and how it came about
/// in parts[part].
void add_frechet(const char* part, const std::string& key, const metrics::Moments& real,
                 metrics::Moments& of_fake, const Side& fake, const SideRules& rules, SideScores& scores) {
  const auto start = std::chrono::steady_clock::now();
  auto parts = naming_sources(fake, rules.options, [&] {
    return metrics::frechet_distance(real, std::move(of_fake), rules.options.sqrt);
  });
  scores.metrics[key] = parts.distance;
  scores.parts[part] = {{"mean_term", parts.mean_term},   {"trace_real", parts.trace_real},
                        {"trace_fake", parts.trace_fake}, {"trace_sqrt", parts.trace_sqrt},
                        {"route", parts.route},           {"seconds", core::seconds_since(start)}};
  scores.notes.insert(scores.notes.end(), parts.notes.begin(), parts.notes.end());
}

void add_kernel(const Side& real, const Side& fake, const SideRules& rules, SideScores& scores,
                const Session& session) {
  const auto start = std::chrono::steady_clock::now();
  const auto rule = kernel_rule(rules);
  const auto found = naming_sources(fake, rules.options, [&] {
    return metrics::kernel_distance(real.features, fake.features, rule,
                                    watched_progress("kernel distance", "pairs", session.quiet));
  });
  const std::string stem = rules.standard ? "kernel_inception_distance" : "kernel_distance";
  scores.metrics[stem + "_mean"] = found.mean;
  scores.metrics[stem + "_std"] = found.std;
  scores.parts["kernel"] = {{"rules", rules.preset.name},
                            {"subsets", found.subsets},
                            {"subset_size", found.subset_size},
                            {"seed", rule.seed.value_or(metrics::kSubsetSeed)},
                            {"seconds", core::seconds_since(start)}};
  if (found.all_pairs) {
    scores.metrics[stem] = found.all_pairs->value;
    scores.parts["kernel"]["variance_of_images"] = found.all_pairs->variance_of_images;
    scores.parts["kernel"]["variance_of_pairs"] = found.all_pairs->variance_of_pairs;
  }
  if (found.all_pairs && !found.all_pairs->standard_error && rules.options.interval) {
    scores.notes.push_back(stem + ": no interval: it takes at least 4 images on a side");
  }
  if (found.all_pairs && found.all_pairs->standard_error) {
    scores.uncertainty[stem] = {
        {"standard_error", *found.all_pairs->standard_error},
        {"estimand", "the distance of the distributions that both sets were drawn from"},
        {"method", "analytic variance of the U-statistic"}};
    if (rules.options.interval) {
      const auto fewer = std::min(real.features.size(0), fake.features.size(0));
      const auto interval =
          metrics::interval_around(found.all_pairs->value, *found.all_pairs->standard_error, kIntervalLevel,
                                   static_cast<double>(fewer - 1), "the distance of the distributions");
      scores.uncertainty[stem]["level"] = kIntervalLevel;
      scores.uncertainty[stem]["at_infinity"] = interval_json(interval);
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
    scores.uncertainty[metric] = {{"standard_error", one->deviation},
                                  {"method", one->method},
                                  {"conditional_on_real", one->conditional_on_real}};
    if (one->at_count) {
      scores.uncertainty[metric]["estimand"] = one->at_count->estimand;
    }
  }
}

/// How near fake images come to real ones, for those who look for copies.
void add_copies(const metrics::NeighbourScores& found, Json& parts) {
  const auto nearest = std::min_element(found.nearest_distance.begin(), found.nearest_distance.end());
  const auto place = static_cast<size_t>(nearest - found.nearest_distance.begin());
  parts["nearest"] = {{"fake", place}, {"real", found.nearest_real[place]}, {"distance", *nearest}};
  parts["copies"] = std::count(found.nearest_distance.begin(), found.nearest_distance.end(), 0.0);
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

void add_sliced(const Side& real, const Side& fake, const SideRules& rules, SideScores& scores,
                const Session& session) {
  const auto start = std::chrono::steady_clock::now();
  scores.metrics["sliced_wasserstein_distance"] = naming_sources(fake, rules.options, [&] {
    return metrics::sliced_wasserstein(
        real.features, fake.features, metrics::kFeatureDirections,
        watched_progress("sliced Wasserstein distance", "directions", session.quiet));
  });
  scores.parts["sliced_wasserstein"] = {{"projections", metrics::kFeatureDirections.projections},
                                        {"p", metrics::kFeatureDirections.p},
                                        {"seed", metrics::kFeatureDirections.seed},
                                        {"seconds", core::seconds_since(start)}};
}

}  // namespace

void require_presets_metrics(const WantedScores& wanted, const metrics::Preset& preset) {
  for (const auto& [flag, metric] : {std::pair{wanted.classes(), metrics::kInceptionScore},
                                     {wanted.kernel, metrics::kKernelDistance},
                                     {wanted.neighbours, metrics::kNeighbours}}) {
    if (flag) {
      metrics::require_metric(preset, metric);
    }
  }
}

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
  if (rules.options.wanted.kernel && !kernel_rule(rules).shrink) {
    require(kernel_rule(rules).subset_size, "a subset", "--kid-subset-size");
  }
  if (rules.options.wanted.neighbours) {
    require(neighbour_rule(rules).k + 1, "a neighbourhood", "--neighbours");
  }
}

SideScores score_side(const Side* real, Side& fake, const SideRules& rules, const Session& session) {
  const auto& wanted = rules.options.wanted;
  SideScores scores;
  if (wanted.inception_score) {
    add_inception_score(fake, rules, scores);
  }
  if (wanted.kernel) {
    add_kernel(*real, fake, rules, scores, session);
  }
  if (wanted.neighbours) {
    add_neighbours(*real, fake, rules, scores, session);
  }
  if (wanted.sliced) {
    add_sliced(*real, fake, rules, scores, session);
  }
  if (wanted.score_infinity) {
    const auto fit =
        naming_sources(fake, rules.options, [&] { return metrics::score_infinity(fake.logits.read_all()); });
    add_extrapolation(inception_score_key(rules.standard_classes) + "_infinity", fit, scores);
  }
  if (wanted.frechet_infinity) {
    add_frechet_infinity(*real, fake, rules, scores, session);
  }
  if (rules.options.interval && !wanted.frechet && (wanted.kernel || wanted.neighbours) &&
      at::equal(real->features, fake.features)) {
    scores.notes.emplace_back(kSameImages);
  }
  if (wanted.frechet && rules.options.interval) {
    add_frechet_interval(*real, fake, rules, scores, session);
  }
  if (wanted.frechet) {
    const metrics::Moments few{fake.moments.mean, {}, fake.moments.count, fake.moments.centred};
    add_frechet("frechet", rules.frechet_key, real->moments, fake.moments, fake, rules, scores);
    if (rules.tells_bias) {
      add_bias_of_few(real->moments, few, rules, scores);
    }
  }
  if (wanted.spatial_frechet) {
    add_frechet("spatial_frechet", "spatial_frechet_inception_distance", *real->spatial, *fake.spatial, fake,
                rules, scores);
    if (rules.options.interval) {
      scores.notes.emplace_back(
          "spatial_frechet_inception_distance: no interval: spatial features are not kept");
    }
  }
  if (rules.options.by_class) {
    naming_sources(fake, rules.options, [&] { add_class_distances(*real, fake, rules, scores, session); });
  }
  return scores;
}

}  // namespace ddpm_eval::eval
