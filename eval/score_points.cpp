#include "base/core/error.h"
#include "base/data/points.h"
#include "base/data/source_spec.h"
#include "base/tensor/runtime.h"
#include "eval/console.h"
#include "eval/point_set.h"
#include "eval/score.h"
#include "metrics/point_distances.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <torch/types.h>

namespace ddpm_eval::eval {
namespace {

/// The floor compares draws from these seeds, far from those a user picks.
constexpr uint64_t kFloorSeed = 0x666c6f6f72;
constexpr int kFloorDraws = 5;

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
  if (!options.allow_points) {
    throw core::UsageError(
        "{} and {} are points, which have no such score; `ddpm-eval score` has their distances", options.real,
        options.fake);
  }
  if (options.metrics_given || options.interval || options.kid_subsets || options.kid_subset_size ||
      options.neighbours) {
    throw core::UsageError(
        "points take no --metrics, --interval, --kid-subsets, --kid-subset-size or --neighbours");
  }
  if (!options.yardsticks.empty() || !options.features.empty() || !options.weights.empty() ||
      !options.preset.empty() || options.precision) {
    throw core::UsageError("points take no --yardstick, --features, --weights, --preset or --precision");
  }
  const auto fake = open_points(options.fake, kDefaultPoints, session);
  const auto real = open_points(options.real, fake.points.size(0), session);
  const auto sliced = [&](const at::Tensor& points, const char* what) {
    return metrics::sliced_wasserstein(real.points, points, {},
                                       watched_progress(what, "directions", session.quiet));
  };
  auto record = core::new_record("score");
  record["metrics"]["sliced_wasserstein_distance"] = sliced(fake.points, "sliced Wasserstein distance");
  record["metrics"]["energy_distance"] = metrics::energy_distance(
      real.points, fake.points, watched_progress("energy distance", "pairs", session.quiet));
  record["parts"]["sliced_wasserstein"] = {{"projections", metrics::SlicedWassersteinOptions{}.projections},
                                           {"p", metrics::SlicedWassersteinOptions{}.p}};
  if (!real.kind.empty()) {
    std::vector<double> floor;
    for (int draw = 0; draw < kFloorDraws; ++draw) {
      const auto fresh =
          data::make_points(real.kind, 0, fake.points.size(0), kFloorSeed + static_cast<uint64_t>(draw));
      floor.push_back(sliced(fresh, "floor"));
    }
    std::sort(floor.begin(), floor.end());
    record["floor"] = {{"sliced_wasserstein_distance", floor[kFloorDraws / 2]},
                       {"lowest", floor.front()},
                       {"highest", floor.back()},
                       {"draws", kFloorDraws},
                       {"what", "fresh real points of the same counts against the real ones, median"}};
  }
  record["real"] = real.record;
  record["fake"] = fake.record;
  record["precision"] = "float32 points, float64 distances";
  record["runtime"] = tensor::runtime_context();
  return record;
}

}  // namespace ddpm_eval::eval
