#pragma once

#include "base/tensor/precision.h"
#include "eval/command.h"
#include "eval/side.h"
#include "eval/wanted_scores.h"
#include "metrics/frechet.h"
#include "metrics/frechet_interval.h"
#include "metrics/kernel_distance.h"

#include <optional>
#include <string>
#include <vector>

namespace ddpm_eval::eval {

/// Of kernel distances; none: the preset's.
struct KernelOptions {
  std::optional<int64_t> subsets;
  std::optional<int64_t> subset_size;
  std::optional<uint32_t> seed;  ///< of the subsets
  std::optional<metrics::Kernel::Kind> kind;
  std::optional<int64_t> degree;  ///< with the next two, of a polynomial kernel
  std::optional<double> gamma;
  std::optional<double> coef;
  std::optional<double> sigma;  ///< of an RBF kernel

  bool any() const { return subsets || subset_size || seed || kind || degree || gamma || coef || sigma; }
};

/// What fid, is, kid, prdc and score have in common.
struct ScoreOptions {
  std::string real;  ///< empty where no reference is needed
  std::string fake;
  std::vector<std::string> yardsticks;  ///< sources of fake's count, scored the same way and set beside it
  std::string features;
  std::string weights;
  std::string convention;          ///< of a TorchScript file's input
  bool trust_torchscript = false;  ///< whether such a file may do what it does
  std::string preset;              ///< empty: a statistics file's own, else the default
  std::optional<tensor::Precision>
      precision;  ///< of the network; none: a statistics file's own, else float32
  WantedScores wanted;
  bool metrics_given = false;                       ///< whether `wanted` is the user's own choice
  std::optional<metrics::IntervalMethod> interval;  ///< none: no intervals
  KernelOptions kid;
  std::optional<int64_t> neighbours;  ///< k of precision and recall; none: the preset's
  std::optional<int64_t> repeats;     ///< samples of fake, by seeds that follow; none: one
  bool by_class = false;              ///< also the Frechet distance of each class
  bool strict = false;
  bool allow_points = false;    ///< whether point sets may be scored, by their own distances
  bool allow_mismatch = false;  ///< compare statistics whose provenance differs
  metrics::SqrtMethod sqrt = metrics::SqrtMethod::kSymmetric;
};

/// Scores image sets in one pass over each and returns the record: metrics, their uncertainty, parts, both
/// sides, features, preset and the runtime. Progress and warnings go to stderr.
Json score_images(const ScoreOptions& options, const Session& session);

/// Scores point sets: sliced Wasserstein and energy distance, squared MMD, the divergence of histograms and,
/// where the real points lie on a known curve but for noise, how far the fake ones are off it; beside them
/// the floor: what fresh real points of the same counts read. Throws InterruptedError.
Json score_points(const ScoreOptions& options, const Session& session);

/// Whether the two sources are point sets, or one is and the other a run. Throws UsageError for points
/// against anything else.
bool are_points(const ScoreOptions& options);

/// The metrics of a record for people, one line each, with what they depend on.
void print_score(const Json& record);

}  // namespace ddpm_eval::eval
