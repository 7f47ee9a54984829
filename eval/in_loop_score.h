#pragma once

#include "base/core/record.h"
#include "base/training/checkpoint.h"
#include "ddpm/model_factory.h"
#include "eval/command.h"
#include "eval/run_scorer.h"
#include "eval/score_log.h"

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {

/// Scores the averaged weights of a run every config.score.every steps, each time right after the state was
/// saved, into scores.jsonl, and keeps the best checkpoint as best.safetensors. Both are functions of
/// configuration and seed, also of a run that was killed at any moment and resumed.
class InLoopScores {
 public:
  /// `like` is the model under training. `state` is where the training begins: lines of later steps are
  /// dropped. Throws UsageError for a folder with scores of another making, DataError for one whose best
  /// weights are gone, and what make_run_scorer() throws. `tell` shows a line per score.
  InLoopScores(const ddpm::RunConfig& config, const ddpm::Model& like, std::filesystem::path folder,
               const training::TrainState& state, const Session& session,
               std::function<void(const std::string&)> tell);

  bool due(int64_t step) const { return step > 0 && step % config_.score.every == 0; }

  /// Scores the state, which has just been saved, if it is due and not scored yet; returns the score, if
  /// there is one. Throws InterruptedError.
  std::optional<double> after_save(const training::TrainState& state);

  /// The name that the score has in records.
  std::string metric() const { return context_.at("metric").get<std::string>(); }

  /// The best weights on the report seed: metric, value, count, reference, step and by what they were chosen.
  /// Null if there are none. Throws as RunScorer::score().
  core::Json report() const;

 private:
  std::shared_ptr<LoadedRun> averaged(const tensor::NamedTensors& weights, int64_t seed) const;

  ddpm::RunConfig config_;
  const ddpm::Model& like_;
  std::filesystem::path folder_;
  std::function<void(const std::string&)> tell_;
  std::unique_ptr<RunScorer> scorer_;
  core::Json context_;
  std::unique_ptr<ScoreLog> log_;
};

}  // namespace ddpm_eval::eval
