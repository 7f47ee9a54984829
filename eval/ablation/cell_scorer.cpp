#include "eval/ablation/cell_scorer.h"

#include "base/core/digest.h"
#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/interrupt.h"
#include "base/core/not_finite.h"
#include "base/data/image_folder.h"
#include "base/data/npy.h"
#include "base/data/points.h"
#include "base/tensor/runtime.h"
#include "eval/comparability.h"
#include "eval/feature_nets.h"
#include "eval/point_set.h"
#include "eval/run_source.h"
#include "eval/sample_output.h"
#include "eval/side.h"
#include "metrics/extract.h"
#include "metrics/frechet.h"
#include "metrics/inception_score.h"
#include "metrics/point_distances.h"
#include "metrics/preset.h"

#include <algorithm>

#include <fmt/format.h>
#include <torch/types.h>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;

/// Far from the seeds that a grid names.
constexpr uint64_t kGridFloorSeed = 0x67726964;
constexpr int kGridFloorDraws = 5;

void stop_when_interrupted(int64_t, int64_t) {
  if (core::interrupt_requested()) {
    throw core::InterruptedError("interrupted while a cell was scored; the same command goes on");
  }
}

std::string digest_of(const at::Tensor& values) {
  const auto bytes = values.contiguous();
  return core::sha256_hex({static_cast<const char*>(bytes.data_ptr()), bytes.nbytes()});
}

class PointCells final : public CellScorer {
 public:
  PointCells(const Grid& grid, const Session& session)
      : score_(grid.score), progress_(console_progress("sampling", "points", session.quiet)) {
    if (!holds_points(data::parse_source(score_.real))) {
      throw core::UsageError("score.real: {} holds no points in the plane, which the cells make",
                             score_.real);
    }
    const auto real = open_points(score_.real, score_.num, session);
    real_ = real.points;
    context_ = {{"real", score_.real},
                {"real_count", real_.size(0)},
                {"real_sha256", digest_of(real_)},
                {"count", score_.num},
                {"seed", score_.seed}};
    if (!real.kind.empty()) {
      context_["floor"] = floor_of(real.kind);
    }
  }

  core::Json context() const override { return context_; }

  CellScores score(const LoadedRun& run, const fs::path& folder) const override {
    CellScores scores;
    at::Tensor points;
    try {
      points = samples(run, folder / "samples.npy");
    } catch (const core::NotFiniteError& error) {
      for (const char* metric : {"sliced_wasserstein_distance", "energy_distance"}) {
        scores.problems[metric] = error.what();
      }
      return scores;
    }
    const auto measure = [&](const char* metric, const auto& distance) {
      try {
        scores.metrics[metric] = distance();
      } catch (const core::DataError& error) {
        scores.problems[metric] = error.what();
      }
    };
    measure("sliced_wasserstein_distance",
            [&] { return metrics::sliced_wasserstein(real_, points, {}, stop_when_interrupted); });
    measure("energy_distance",
            [&] { return metrics::energy_distance(real_, points, stop_when_interrupted); });
    return scores;
  }

 private:
  core::Json floor_of(const std::string& kind) const {
    std::vector<double> floor;
    for (int draw = 0; draw < kGridFloorDraws; ++draw) {
      const auto fresh = data::make_points(kind, 0, score_.num, kGridFloorSeed + static_cast<uint64_t>(draw));
      floor.push_back(metrics::sliced_wasserstein(real_, fresh, {}, stop_when_interrupted));
    }
    std::sort(floor.begin(), floor.end());
    return {{"sliced_wasserstein_distance", floor[kGridFloorDraws / 2]}, {"draws", kGridFloorDraws}};
  }

  /// Those that an interrupted job has left, if they are what this run draws.
  at::Tensor samples(const LoadedRun& run, const fs::path& path) const {
    const auto provenance = sample_provenance(run, score_.num);
    if (holds_samples(path, provenance)) {
      return data::parse_npy(core::read_file(path), path.string());
    }
    auto points = sample_points_of(run, {.first = 0, .count = score_.num}, progress_);
    write_points(path, points, provenance);
    return points;
  }

  GridScore score_;
  ProgressFn progress_;
  at::Tensor real_;
  core::Json context_;
};

class ImageCells final : public CellScorer {
 public:
  ImageCells(const Grid& grid, const Session& session) : score_(grid.score), quiet_(session.quiet) {
    const SideRequest request{"score.real", score_.real, false, false};
    if (is_statistics(score_.real)) {
      real_ = read_side(request, score_.features);
    }
    const auto told = provenance_features(real_);
    const auto wanted = complete_request({score_.features, {}, score_.preset}, told);
    if (score_.inception_score) {
      require_classifier(wanted);
    }
    net_ = open_feature_net(wanted, score_.real);
    const auto features = features_json(net_->info());
    if (real_.moments.mean.defined()) {
      core::Json notes;
      require_same_features(told, features, /*allow_mismatch=*/false, notes);
      if (real_.moments.mean.size(0) != net_->info().dim) {
        throw core::UsageError("score.real: {} holds statistics of {} features, but '{}' gives {}",
                               score_.real, real_.moments.mean.size(0), net_->info().name, net_->info().dim);
      }
    } else {
      real_ = measure_side(request, *open_images(request), *net_, session);
    }
    frechet_ = frechet_key(features, net_->info().dim);
    inception_ = inception_score_key(uses_fid_inception(features, net_->info().dim));
    if (score_.inception_score) {
      const auto& preset = metrics::find_preset(wanted.preset.empty() ? metrics::kDefaultPreset
                                                                      : std::string_view(wanted.preset));
      metrics::require_metric(preset, metrics::kInceptionScore);
      rule_ = *preset.inception_score;
    }
    context_ = {{"real", score_.real},
                {"real_count", real_.moments.count},
                {"real_sha256", digest_of(real_.moments.mean)},
                {"count", score_.num},
                {"seed", score_.seed},
                {"features", features}};
  }

  core::Json context() const override { return context_; }

  CellScores score(const LoadedRun& run, const fs::path& folder) const override {
    CellScores scores;
    try {
      draw(run, folder / "samples");
    } catch (const core::NotFiniteError& error) {
      scores.problems[frechet_] = error.what();
      if (rule_) {
        scores.problems[inception_ + "_mean"] = error.what();
      }
      return scores;
    }
    metrics::MomentsAccumulator moments(net_->info().dim);
    data::RowStore logits;
    const auto images = data::open_image_folder(
        folder / "samples",
        {.on_bad_file = data::OnBadFile::kFail, .threads = tensor::runtime_info().threads});
    metrics::extract(
        *images, *net_,
        [&](const metrics::NetOutput& output) {
          moments.add(output.features);
          if (rule_) {
            logits.add(output.logits);
          }
        },
        console_progress("scoring", "samples", quiet_));
    scores.metrics[frechet_] = metrics::frechet_distance(real_.moments, moments.finish()).distance;
    if (rule_) {
      const auto result = metrics::inception_score(logits, *rule_);
      scores.metrics[inception_ + "_mean"] = result.mean;
      if (result.std) {
        scores.metrics[inception_ + "_std"] = *result.std;
      }
    }
    return scores;
  }

 private:
  void draw(const LoadedRun& run, const fs::path& target) const {
    const auto output =
        open_sample_output(target, sample_provenance(run, score_.num), run.options.micro_batch);
    draw_samples(
        run, output, score_.num, [&](int64_t done) { stop_when_interrupted(done, score_.num); },
        console_progress("sampling", "samples", quiet_));
  }

  GridScore score_;
  bool quiet_;
  Side real_;
  std::unique_ptr<metrics::FeatureNet> net_;
  std::string frechet_;  ///< names of the metrics
  std::string inception_;
  std::optional<metrics::InceptionScoreRule> rule_;
  core::Json context_;
};

}  // namespace

std::unique_ptr<CellScorer> make_cell_scorer(const Grid& grid, const Session& session) {
  if (grid.is_for_points()) {
    return std::make_unique<PointCells>(grid, session);
  }
  return std::make_unique<ImageCells>(grid, session);
}

}  // namespace ddpm_eval::eval
