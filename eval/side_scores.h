#pragma once

#include "eval/score.h"
#include "metrics/preset.h"

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {

/// The scores of one side, by names that tell the FID Inception from other features.
struct SideScores {
  Json metrics = Json::object();
  Json uncertainty = Json::object();  ///< of some of `metrics`, by their names
  Json parts = Json::object();        ///< what the scores were computed by and from
  std::vector<std::string> notes;     ///< one may be there twice
};

/// How a side is scored.
struct SideRules {
  const ScoreOptions& options;
  const metrics::Preset& preset;
  bool standard = false;          ///< whether both sides' features are those that FID and KID are defined on
  bool standard_classes = false;  ///< whether the fake side's classes are those that IS is defined on
  std::string frechet_key = {};   ///< the name of a Frechet distance of these features
  bool tells_bias = true;         ///< of few images, in a note
};

/// Throws UsageError unless the preset's tool has all that is wanted.
void require_presets_metrics(const WantedScores& wanted, const metrics::Preset& preset);

/// Scores `fake` against `real`, which is null where no wanted score takes a reference. Uses up the moments
/// of `fake`. Throws InterruptedError, and DataError that names the sources for sets that have no such score.
SideScores score_side(const Side* real, Side& fake, const SideRules& rules, const Session& session);

}  // namespace ddpm_eval::eval
