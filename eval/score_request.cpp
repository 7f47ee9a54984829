#include "eval/score_request.h"

#include "base/core/error.h"
#include "eval/comparability.h"
#include "eval/script_nets.h"

namespace ddpm_eval::eval {

bool takes_rules(const WantedScores& wanted) { return wanted.kernel || wanted.neighbours; }

FeatureRequest completed_request(const Json& told, const ScoreOptions& options) {
  auto request = complete_request({options.features, options.weights, options.preset}, told);
  const bool follows = options.features.empty() && is_rounded(told);
  request.precision =
      options.precision.value_or(follows ? tensor::Precision::kBFloat16 : tensor::Precision::kFloat32);
  request.spatial = options.wanted.spatial_frechet ? "--metrics sfid" : "";
  request.convention = options.convention;
  request.trust = options.trust_torchscript ? ScriptTrust::kYes : ScriptTrust::kNo;
  return request;
}

FeatureRequest request_of_net(FeatureRequest request, const ScoreOptions& options) {
  if (is_script_features(request.features) && (takes_rules(options.wanted) || options.preset.empty())) {
    request.preset.clear();
  }
  return request;
}

FeatureRequest settled_request(const Json& told, const ScoreOptions& options) {
  const auto preset = told_preset(told);
  if (!options.preset.empty() && !preset.empty() && preset != options.preset) {
    throw core::UsageError("--preset {}: these features were made with the preset {}", options.preset,
                           preset);
  }
  return {.preset = preset.empty() ? options.preset : preset};
}

const metrics::Preset& preset_of(const FeatureRequest& request) {
  return metrics::find_preset(request.preset.empty() ? metrics::kDefaultPreset
                                                     : std::string_view(request.preset));
}

}  // namespace ddpm_eval::eval
