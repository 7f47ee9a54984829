#pragma once

#include "base/core/record.h"
#include "ddpm/run_config.h"
#include "eval/command.h"
#include "eval/sampling.h"

#include <memory>
#include <string>

#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {

/// What the scores of a run under training are made with: the reference, measured once, and the way of
/// scoring a model against it.
class RunScorer {
 public:
  virtual ~RunScorer() = default;

  /// What every score depends on, but for weights and seed: metric, count, reference, features.
  virtual core::Json context() const = 0;

  /// The score of score.num samples of `run`. Throws DataError where it cannot be had, InterruptedError.
  virtual double score(const std::shared_ptr<const LoadedRun>& run, const std::string& what) const = 0;
};

/// Loads reference and feature network, so that whatever can be refused is refused before any training.
std::unique_ptr<RunScorer> make_run_scorer(const ddpm::ScoreConfig& config, bool images,
                                           const Session& session);

}  // namespace ddpm_eval::eval
