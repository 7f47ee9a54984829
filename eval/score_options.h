#pragma once

#include "eval/score.h"

namespace ddpm_eval::eval {

enum class SidesNeeded { kBoth, kFake };

/// The options that every scoring command has.
void add_score_options(CLI::App& command, ScoreOptions& options, SidesNeeded sides);

/// --preset, with the presets that there are.
void add_preset_option(CLI::App& command, std::string& preset, const std::string& default_text);

/// --features and --weights.
void add_features_options(CLI::App& command, std::string& features, std::string& weights);

/// What the feature network computes in.
void add_feature_precision_option(CLI::App& command, std::optional<tensor::Precision>& precision);

/// The options of a Frechet distance.
void add_frechet_options(CLI::App& command, ScoreOptions& options);

/// Adds a scoring command: parses, scores and prints the record or its metrics.
void add_scoring_command(CLI::App& command, const std::shared_ptr<ScoreOptions>& options, Session& session);

}  // namespace ddpm_eval::eval
