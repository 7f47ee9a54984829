#pragma once

#include "eval/feature_nets.h"
#include "eval/score.h"
#include "metrics/preset.h"

// Which features and which rules a score is by, of what was asked for and what files say (`told`: provenance,
// or null).
namespace ddpm_eval::eval {

/// Whether scores are wanted that a preset has rules for beside its pre-processing: of kernel distances and
/// neighbours.
bool takes_rules(const WantedScores& wanted);

/// Where images are to be measured. Throws as complete_request().
FeatureRequest completed_request(const Json& told, const ScoreOptions& options);

/// What opens the network. The pre-processing of a TorchScript file is its convention's: where there are
/// rules to choose, a preset is no more than these beside it.
FeatureRequest request_of_net(FeatureRequest request, const ScoreOptions& options);

/// Where nothing is left to compute features of, a preset is no more than its rules. Throws UsageError for
/// another preset than that of the features.
FeatureRequest settled_request(const Json& told, const ScoreOptions& options);

const metrics::Preset& preset_of(const FeatureRequest& request);

}  // namespace ddpm_eval::eval
