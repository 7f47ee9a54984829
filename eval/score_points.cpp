#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/interrupt.h"
#include "base/data/npy.h"
#include "base/data/points.h"
#include "base/tensor/runtime.h"
#include "eval/console.h"
#include "eval/score.h"
#include "metrics/point_distances.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <torch/types.h>

namespace ddpm_eval::eval {
namespace {

constexpr int64_t kDefaultCount = 2000;
/// The floor compares draws from these seeds, far from those a user picks.
constexpr uint64_t kFloorSeed = 0x666c6f6f72;
constexpr int kFloorDraws = 5;

bool is_npy(const std::string& source) { return std::filesystem::path(source).extension() == ".npy"; }

at::Tensor read_points(const std::string& path) {
  const auto bytes = core::read_file(path);
  auto points = data::parse_npy(bytes, path);
  if (!points.is_floating_point() || points.dim() != 2 || points.size(1) != 2) {
    throw core::DataError("{}: expected points, a float array [n, 2]", path);
  }
  points = points.to(torch::kFloat32);
  if (!torch::isfinite(points).all().item<bool>()) {
    throw core::DataError("{}: has values that are not finite", path);
  }
  return points;
}

struct PointSet {
  at::Tensor points;
  std::string kind;  ///< of a generated set; empty for a file
  Json record;
};

PointSet open_points(const std::string& source, int64_t other_count) {
  if (is_npy(source)) {
    auto points = read_points(source);
    return {points, "", {{"source", source}, {"kind", "points"}, {"count", points.size(0)}}};
  }
  const auto spec = data::parse_source(source);
  const int64_t count = spec.subset.count.value_or(other_count);
  if (count < 2) {
    throw core::UsageError("{}: num must be at least 2", source);
  }
  return {data::make_points(spec.name, spec.subset.first, count, spec.seed),
          spec.name,
          {{"source", source}, {"kind", "points"}, {"count", count}, {"seed", spec.seed}}};
}

/// Whether a .npy file, if it is one, holds floats in two dimensions rather than images.
bool holds_points(const std::string& path) {
  data::FileStream stream(path);
  const auto header = data::read_npy_header(stream);
  return header.shape.size() == 2 && at::isFloatingType(header.dtype);
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
  const auto one = [](const std::string& source) {
    return !source.empty() && (is_npy(source) ? holds_points(source)
                                              : data::parse_source(source).kind == data::SourceKind::kPoints);
  };
  return one(options.real) && one(options.fake);
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
  const auto fake = open_points(options.fake, kDefaultCount);
  const auto real = open_points(options.real, fake.points.size(0));
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
