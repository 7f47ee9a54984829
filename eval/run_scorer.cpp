#include "eval/run_scorer.h"

#include "base/core/config.h"
#include "base/core/error.h"
#include "base/core/interrupt.h"
#include "base/data/source_spec.h"
#include "eval/comparability.h"
#include "eval/console.h"
#include "eval/feature_nets.h"
#include "eval/point_set.h"
#include "eval/run_source.h"
#include "eval/side.h"
#include "metrics/extract.h"
#include "metrics/frechet.h"
#include "metrics/point_distances.h"

#include <torch/types.h>

namespace ddpm_eval::eval {
namespace {

/// Frechet distance of features.
class ImageScorer final : public RunScorer {
 public:
  ImageScorer(const ddpm::ScoreConfig& config, const Session& session)
      : count_(config.num), quiet_(session.quiet) {
    const SideRequest request{"score.real", config.real, false, false};
    if (is_statistics(config.real)) {
      real_ = read_side(request, config.features);
    }
    const auto told = provenance_features(real_);
    net_ = open_feature_net(complete_request({config.features, {}, config.preset}, told), config.real);
    const auto features = features_json(net_->info());
    if (real_.moments.mean.defined()) {
      Json notes;
      require_same_features(told, features, /*allow_mismatch=*/false, notes);
      if (real_.moments.mean.size(0) != net_->info().dim) {
        throw core::UsageError(core::Key{"score.real"},
                               "{} holds statistics of {} features, but '{}' gives {}", config.real,
                               real_.moments.mean.size(0), net_->info().name, net_->info().dim);
      }
    } else {
      real_ = measure_side(request, *open_images(request), *net_, session);
    }
    context_ = {{"metric", frechet_key(features, net_->info().dim)},
                {"count", count_},
                {"real", config.real},
                {"real_count", real_.moments.count},
                {"features", features}};
  }

  Json context() const override { return context_; }

  double score(const std::shared_ptr<const LoadedRun>& run, const std::string& what) const override {
    const auto images = make_sampler_source(what, run, {.first = 0, .count = count_});
    metrics::MomentsAccumulator moments(net_->info().dim);
    metrics::extract(
        *images, *net_, [&](const metrics::NetOutput& output) { moments.add(output.features); },
        console_progress("scoring " + what, "samples", quiet_));
    return metrics::frechet_distance(real_.moments, moments.finish()).distance;
  }

 private:
  int64_t count_;
  bool quiet_;
  Side real_;
  std::unique_ptr<metrics::FeatureNet> net_;
  Json context_;
};

/// Distances of points in the plane.
class PointScorer final : public RunScorer {
 public:
  PointScorer(const ddpm::ScoreConfig& config, const Session& session)
      : count_(config.num), quiet_(session.quiet), energy_(config.metric == "energy_distance") {
    const auto spec = data::parse_source(config.real);
    if (!holds_points(spec)) {
      throw core::UsageError(core::Key{"score.real"}, "{} holds no points in the plane, which the run makes",
                             config.real);
    }
    auto real = open_points(config.real, count_, session);
    real_ = real.points;
    context_ = {{"metric", energy_ ? "energy_distance" : "sliced_wasserstein_distance"},
                {"count", count_},
                {"real", config.real},
                {"real_count", real_.size(0)}};
  }

  Json context() const override { return context_; }

  double score(const std::shared_ptr<const LoadedRun>& run, const std::string& what) const override {
    const auto points = sample_points_of(*run, {.first = 0, .count = count_},
                                         console_progress("scoring " + what, "samples", quiet_));
    const auto stop_if_asked = [](int64_t, int64_t) {
      if (core::interrupt_requested()) {
        throw core::InterruptedError("interrupted while scoring");
      }
    };
    return energy_ ? metrics::energy_distance(real_, points, stop_if_asked)
                   : metrics::sliced_wasserstein(real_, points, {}, stop_if_asked);
  }

 private:
  int64_t count_;
  bool quiet_;
  bool energy_;
  at::Tensor real_;
  Json context_;
};

}  // namespace

std::unique_ptr<RunScorer> make_run_scorer(const ddpm::ScoreConfig& config, bool images,
                                           const Session& session) {
  return core::about_key({"score.real"}, [&]() -> std::unique_ptr<RunScorer> {
    if (images) {
      return std::make_unique<ImageScorer>(config, session);
    }
    return std::make_unique<PointScorer>(config, session);
  });
}

}  // namespace ddpm_eval::eval
