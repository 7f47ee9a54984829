#include "eval/side_scores.h"

#include "base/core/error.h"
#include "base/core/seconds_since.h"
#include "eval/class_scores.h"
#include "eval/comparability.h"
#include "eval/console.h"
#include "eval/feature_scores.h"
#include "eval/side_score_parts.h"
#include "metrics/extrapolation.h"
#include "metrics/inception_score.h"
#include "metrics/score_interval.h"

#include <chrono>

namespace ddpm_eval::eval {
namespace {

Json extrapolation_json(const metrics::Extrapolation& fit) {
  return {{"sizes", fit.sizes}, {"values", fit.values}, {"slope", fit.slope}, {"r_squared", fit.r_squared}};
}

void add_extrapolation(const std::string& name, const metrics::Extrapolation& fit, SideScores& scores) {
  scores.metrics[name] = fit.intercept;
  add_standard_error(name, fit.intercept_deviation, "the score of infinitely many images of the fake side",
                     "of the intercept of a line in 1 / N through nested subsets, with the increments "
                     "from one to the next taken as independent",
                     scores);
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
  const auto found = naming_sources(fake, rules.options,
                                    [&] { return metrics::score_interval(fake.logits, {.score = rule}); });
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

/// The distance of moments, of which those of the fake side are used up; how it came about goes to
/// parts[part].
double frechet_of(const char* part, const metrics::Moments& real, metrics::Moments& of_fake, const Side& fake,
                  const SideRules& rules, SideScores& scores) {
  const auto start = std::chrono::steady_clock::now();
  auto parts = naming_sources(fake, rules.options, [&] {
    return metrics::frechet_distance(real, std::move(of_fake), rules.options.sqrt);
  });
  scores.parts[part] = {{"mean_term", parts.mean_term},   {"trace_real", parts.trace_real},
                        {"trace_fake", parts.trace_fake}, {"trace_sqrt", parts.trace_sqrt},
                        {"route", parts.route},           {"seconds", core::seconds_since(start)}};
  scores.notes.insert(scores.notes.end(), parts.notes.begin(), parts.notes.end());
  return parts.distance;
}

/// FID, and MiFID, which is made of it.
void add_frechet(const Side& real, Side& fake, const SideRules& rules, SideScores& scores,
                 const Session& session) {
  const auto& wanted = rules.options.wanted;
  const metrics::Moments few{fake.moments.mean, {}, fake.moments.count, fake.moments.centred};
  const double distance = frechet_of("frechet", real.moments, fake.moments, fake, rules, scores);
  if (wanted.memorization_informed) {
    add_memorization_informed(real, fake, distance, rules, scores, session);
  }
  if (!wanted.frechet) {
    return;
  }
  scores.metrics[rules.frechet_key] = distance;
  if (rules.tells_bias) {
    add_bias_of_few(real.moments, few, rules, scores);
  }
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

SideScores score_side(const Side* real, Side& fake, const SideRules& rules, const Session& session) {
  const auto& wanted = rules.options.wanted;
  SideScores scores;
  if (wanted.inception_score) {
    add_inception_score(fake, rules, scores);
  }
  add_feature_scores(real, fake, rules, scores, session);
  if (wanted.score_infinity) {
    const auto fit =
        naming_sources(fake, rules.options, [&] { return metrics::score_infinity(fake.logits.read_all()); });
    add_extrapolation(inception_score_key(rules.standard_classes) + "_infinity", fit, scores);
  }
  if (wanted.frechet_infinity) {
    add_frechet_infinity(*real, fake, rules, scores, session);
  }
  if (rules.options.interval && (wanted.frechet || wanted.kernel || wanted.neighbours) &&
      real->features.defined() && at::equal(real->features, fake.features)) {
    scores.notes.emplace_back(kSameImages);
  }
  if (wanted.frechet && rules.options.interval) {
    add_frechet_interval(*real, fake, rules, scores, session);
  }
  if (wanted.frechet || wanted.memorization_informed) {
    add_frechet(*real, fake, rules, scores, session);
  }
  if (wanted.spatial_frechet) {
    scores.metrics["spatial_frechet_inception_distance"] =
        frechet_of("spatial_frechet", *real->spatial, *fake.spatial, fake, rules, scores);
    note_withheld("spatial_frechet_inception_distance", "spatial features are not kept", rules, scores);
  }
  if (rules.options.by_class) {
    naming_sources(fake, rules.options, [&] { add_class_distances(*real, fake, rules, scores, session); });
  }
  return scores;
}

}  // namespace ddpm_eval::eval
