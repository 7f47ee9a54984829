#pragma once

#include "eval/score.h"

namespace ddpm_eval::eval {

enum class SidesNeeded {
  kBoth,        ///< of which either may be statistics
  kByScores,    ///< as kBoth, or the fake one alone, by the scores that are asked for
  kBothImages,  ///< which are compared one by one
  kFake,
};

/// The options that every scoring command has.
void add_score_options(CLI::App& command, ScoreOptions& options, SidesNeeded sides);

/// --preset, with the presets that there are.
void add_preset_option(CLI::App& command, std::string& preset, const std::string& default_text);

/// --features and --weights.
void add_features_options(CLI::App& command, std::string& features, std::string& weights);

/// --convention and --trust-torchscript.
void add_torchscript_options(CLI::App& command, std::string& convention, bool& trust);

/// What the feature network computes in.
void add_feature_precision_option(CLI::App& command, std::optional<tensor::Precision>& precision);

/// The options of a Frechet distance.
void add_frechet_options(CLI::App& command, ScoreOptions& options);

void add_yardstick_option(CLI::App& command, ScoreOptions& options);

/// Which scores `score` is to give; sets the default.
void add_metrics_option(CLI::App& command, ScoreOptions& options);

/// Whether FID and IS are to have intervals.
void add_interval_option(CLI::App& command, ScoreOptions& options);

/// The options of a kernel distance.
void add_kernel_options(CLI::App& command, ScoreOptions& options);

/// The options of precision and recall.
void add_neighbour_options(CLI::App& command, ScoreOptions& options);

/// Whether each class is scored, too.
void add_class_option(CLI::App& command, ScoreOptions& options);

/// How many samples of the fake side are scored.
void add_repeats_option(CLI::App& command, ScoreOptions& options);

/// Throws UsageError if the record would replace something that is read.
void require_own_place(const std::string& json, const ScoreOptions& options);

/// Adds a scoring command: parses, scores and prints the record or its metrics.
void add_scoring_command(CLI::App& command, const std::shared_ptr<ScoreOptions>& options, Session& session);

}  // namespace ddpm_eval::eval
