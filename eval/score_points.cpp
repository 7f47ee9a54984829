#include "base/core/error.h"
#include "base/data/points.h"
#include "base/data/source_spec.h"
#include "base/tensor/runtime.h"
#include "eval/console.h"
#include "eval/point_set.h"
#include "eval/repeats.h"
#include "eval/score.h"
#include "metrics/curve_distance.h"
#include "metrics/point_distances.h"
#include "metrics/point_histogram.h"
#include "metrics/point_kernel.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <torch/types.h>

namespace ddpm_eval::eval {
namespace {

/// The floor compares draws from these seeds, far from those a user picks.
constexpr uint64_t kFloorSeed = 0x666c6f6f72;
constexpr int kFloorDraws = 5;

void refuse_image_options(const ScoreOptions& options) {
  if (!options.allow_points) {
    throw core::UsageError(
        "{} and {} are points, which have no such score; `ddpm-eval score` has their distances", options.real,
        options.fake);
  }
  if (options.metrics_given || options.interval || options.kid.any() || options.neighbours ||
      options.by_class) {
    throw core::UsageError(
        "points take no --metrics, --interval, --kid-... options, --neighbours or --by-class");
  }
  if (!options.yardsticks.empty() || !options.features.empty() || !options.weights.empty() ||
      !options.preset.empty() || options.precision) {
    throw core::UsageError("points take no --yardstick, --features, --weights, --preset or --precision");
  }
  if (!options.convention.empty() || options.trust_torchscript) {
    throw core::UsageError("points take no --convention or --trust-torchscript");
  }
}

/// Scores sets of points against the same real ones.
class PointSetScorer {
 public:
  PointSetScorer(const PointSet& real, const Session& session)
      : real_(real), session_(session), grid_(metrics::grid_of(real.points)) {
    if (!real.kind.empty()) {
      curves_ = data::noiseless_curves(real.kind);
    }
  }

  /// Of fake points, float32 [n, 2].
  SideScores score(const at::Tensor& fake) const {
    SideScores scores;
    scores.metrics["sliced_wasserstein_distance"] = sliced(fake, "sliced Wasserstein distance");
    scores.parts["sliced_wasserstein"] = {{"projections", metrics::SlicedWassersteinOptions{}.projections},
                                          {"p", metrics::SlicedWassersteinOptions{}.p}};
    scores.metrics["energy_distance"] =
        metrics::energy_distance(real_.points, fake, progress("energy distance", "pairs"));
    add_discrepancy(fake, scores);
    add_divergence(fake, scores);
    if (!curves_.empty()) {
      const auto found = metrics::off_manifold(fake, curves_);
      scores.metrics["off_manifold_distance_mean"] = found.mean;
      scores.metrics["off_manifold_distance_q95"] = found.q95;
      scores.parts["off_manifold"] = {{"curve", real_.kind + " without noise"}};
    }
    return scores;
  }

  /// What fresh real points, `count` of them, score: the medians of several draws. Not of the distances whose
  /// expectation is 0 for equal distributions.
  Json floor(int64_t count) const {
    std::map<std::string, std::vector<double>> found;
    for (int draw = 0; draw < kFloorDraws; ++draw) {
      const auto fresh = data::make_points(real_.kind, 0, count, kFloorSeed + static_cast<uint64_t>(draw));
      found["sliced_wasserstein_distance"].push_back(sliced(fresh, "floor"));
      found["histogram_kl_divergence"].push_back(
          metrics::histogram_divergence(real_.points, fresh, grid_).value);
      if (!curves_.empty()) {
        const auto off = metrics::off_manifold(fresh, curves_);
        found["off_manifold_distance_mean"].push_back(off.mean);
        found["off_manifold_distance_q95"].push_back(off.q95);
      }
    }
    Json floor;
    for (auto& [key, values] : found) {
      std::sort(values.begin(), values.end());
      floor[key] = values[kFloorDraws / 2];
    }
    const auto& of_sliced = found["sliced_wasserstein_distance"];
    floor.update({{"lowest", of_sliced.front()},
                  {"highest", of_sliced.back()},
                  {"draws", kFloorDraws},
                  {"what",
                   "fresh real points of the same counts against the real ones, median; lowest and highest "
                   "are of the sliced Wasserstein distance"}});
    return floor;
  }

 private:
  ProgressFn progress(const std::string& what, const std::string& unit) const {
    return watched_progress(what, unit, session_.quiet);
  }

  double sliced(const at::Tensor& points, const std::string& what) const {
    return metrics::sliced_wasserstein(real_.points, points, {}, progress(what, "directions"));
  }

  void add_discrepancy(const at::Tensor& fake, SideScores& scores) const {
    const auto found =
        metrics::squared_mmd(real_.points, fake, progress("maximum mean discrepancy", "pairs"));
    scores.metrics["squared_mmd"] = found.estimate.value;
    scores.parts["mmd"] = {{"kernel", "exp(-|x - y|^2 / (2 bandwidth^2))"},
                           {"bandwidth", found.bandwidth},
                           {"bandwidth_rule", "median of the distances between real points"},
                           {"bandwidth_points", found.bandwidth_points}};
    if (found.estimate.standard_error) {
      scores.uncertainty["squared_mmd"] = {
          {"standard_error", *found.estimate.standard_error},
          {"estimand", "the squared MMD of the distributions that both sets were drawn from"},
          {"method", "analytic variance of the U-statistic"}};
    }
  }

  void add_divergence(const at::Tensor& fake, SideScores& scores) const {
    const auto found = metrics::histogram_divergence(real_.points, fake, grid_);
    scores.metrics["histogram_kl_divergence"] = found.value;
    scores.parts["histogram"] = {{"direction", "KL(real || fake)"},
                                 {"unit", "nats"},
                                 {"bins", {grid_.bins, grid_.bins}},
                                 {"range", {{grid_.low[0], grid_.high[0]}, {grid_.low[1], grid_.high[1]}}},
                                 {"pseudo_count", metrics::kPseudoCount},
                                 {"fake_outside", found.fake_outside}};
  }

  const PointSet& real_;
  const Session& session_;
  metrics::PointGrid grid_;
  std::vector<metrics::PlaneCurve> curves_;  ///< that the real points lie on but for noise; may be empty
};

}  // namespace

bool are_points(const ScoreOptions& options) {
  if (options.real.empty()) {
    return false;
  }
  const auto real = data::parse_source(options.real);
  const auto fake = data::parse_source(options.fake);
  const bool real_points = holds_points(real);
  const bool fake_points = holds_points(fake);
  const auto& other = real_points ? fake : real;
  if (real_points != fake_points && other.kind != data::SourceKind::kRun) {
    throw core::UsageError("{} {} holds points in the plane and {} {} does not: the two cannot be compared",
                           real_points ? "--real" : "--fake", real_points ? real.text : fake.text,
                           real_points ? "--fake" : "--real", other.text);
  }
  return real_points || fake_points;
}

Json score_points(const ScoreOptions& options, const Session& session) {
  refuse_image_options(options);
  const auto sources = options.repeats ? repeated_sources(options.fake, *options.repeats)
                                       : std::vector<std::string>{options.fake};
  auto fake = open_points(sources.front(), kDefaultPoints, session);
  const auto real = open_points(options.real, fake.points.size(0), session);
  const int64_t count = fake.points.size(0);
  auto side = fake.record;
  side["source"] = options.fake;
  auto record = core::new_record("score");
  try {
    const PointSetScorer scorer(real, session);
    const auto score_sample = [&](const std::string& source) {
      if (source != sources.front()) {
        fake = open_points(source, kDefaultPoints, session);
      }
      return SampleScore{fake.record, scorer.score(fake.points)};
    };
    add_scores(sources, score_sample, record);
    if (!real.kind.empty()) {
      record["floor"] = scorer.floor(count);
    }
  } catch (const core::DataError& error) {
    throw core::DataError("--real {} against {}: {}", options.real, options.fake, error.what());
  }
  record["real"] = real.record;
  record["fake"] = std::move(side);
  record["precision"] = "float32 points, float64 distances";
  record["runtime"] = tensor::runtime_context();
  return record;
}

}  // namespace ddpm_eval::eval
