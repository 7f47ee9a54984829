#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/interrupt.h"
#include "base/data/npy.h"
#include "base/data/points.h"
#include "base/data/source_spec.h"
#include "base/tensor/runtime.h"
#include "base/tensor/shape.h"
#include "eval/console.h"
#include "eval/run_source.h"
#include "eval/score.h"
#include "metrics/point_distances.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <torch/types.h>

namespace ddpm_eval::eval {
namespace {

constexpr int64_t kDefaultCount = 2000;
/// The floor compares draws from these seeds, far from those a user picks.
constexpr uint64_t kFloorSeed = 0x666c6f6f72;
constexpr int kFloorDraws = 5;

at::Tensor read_points(const data::SourceSpec& spec) {
  const auto path = spec.path.string();
  const auto bytes = core::read_file(spec.path);
  auto points = data::parse_npy(bytes, path);
  if (!points.is_floating_point() || points.dim() != 2 || points.size(1) != 2) {
    throw core::DataError("{}: holds {}, where points are a float array [n, 2]; convert and save again", path,
                          tensor::describe(points));
  }
  points = points.narrow(0, spec.subset.first, data::resolve_subset(spec.subset, points.size(0), spec.text))
               .to(torch::kFloat32);
  if (!torch::isfinite(points).all().item<bool>()) {
    throw core::DataError("{}: has values that are not finite in float32", path);
  }
  return points;
}

struct PointSet {
  at::Tensor points;
  std::string kind;  ///< of a generated set; empty for a file
  Json record;
};

PointSet open_points(const std::string& source, int64_t other_count, const Session& session) {
  const auto spec = data::parse_source(source);
  Json record = {{"source", source}, {"kind", "points"}};
  if (spec.kind == data::SourceKind::kArray) {
    auto points = read_points(spec);
    record["count"] = points.size(0);
    return {points, "", record};
  }
  if (spec.kind == data::SourceKind::kRun) {
    auto drawn = draw_run_points(spec, console_progress("sampling " + source, "points", session.quiet));
    record["count"] = drawn.points.size(0);
    record["context"] = std::move(drawn.context);
    return {drawn.points, "", record};
  }
  const int64_t count = spec.subset.count.value_or(other_count);
  if (count < 2) {
    throw core::UsageError("{}: num must be at least 2", source);
  }
  record["count"] = count;
  record["seed"] = spec.seed;
  return {data::make_points(spec.name, spec.subset.first, count, spec.seed), spec.name, record};
}

/// Whether a source is points for certain: a known set, or an .npy file of two dimensions rather than an
/// image's three or four. A run is what the other side is.
bool holds_points(const data::SourceSpec& spec) {
  if (spec.kind != data::SourceKind::kArray || spec.path.extension() != ".npy") {
    return spec.kind == data::SourceKind::kPoints;
  }
  data::FileStream stream(spec.path);
  return data::read_npy_header(stream).shape.size() == 2;
}

/// Progress on the terminal, and the place where Ctrl-C is heard.
metrics::DistanceProgress watched(const char* what, const char* unit, const Session& session) {
  return [show = console_progress(what, unit, session.quiet)](int64_t done, int64_t total) {
    if (core::interrupt_requested()) {
      throw core::InterruptedError("interrupted while scoring points; the same command begins anew");
    }
    show(done, total);
  };
}

}  // namespace

bool are_points(const ScoreOptions& options) {
  if (!options.frechet()) {
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
    throw core::UsageError("{} and {} are points, which have no FID; `ddpm-eval score` has their distances",
                           options.real, options.fake);
  }
  if (!options.yardsticks.empty() || !options.features.empty() || !options.weights.empty() ||
      !options.preset.empty()) {
    throw core::UsageError("points take no --yardstick, --features, --weights or --preset");
  }
  const auto fake = open_points(options.fake, kDefaultCount, session);
  const auto real = open_points(options.real, fake.points.size(0), session);
  const auto sliced = [&](const at::Tensor& points, const char* what) {
    return metrics::sliced_wasserstein(real.points, points, {}, watched(what, "directions", session));
  };
  auto record = core::new_record("score");
  record["metrics"]["sliced_wasserstein_distance"] = sliced(fake.points, "sliced Wasserstein distance");
  record["metrics"]["energy_distance"] =
      metrics::energy_distance(real.points, fake.points, watched("energy distance", "pairs", session));
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
  record["runtime"] = tensor::runtime_context();
  return record;
}

}  // namespace ddpm_eval::eval
