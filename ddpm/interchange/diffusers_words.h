#pragma once

#include "ddpm/choice.h"
#include "ddpm/run_config.h"

#include <string>
#include <utility>
#include <vector>

// The words of diffusers' scheduler_config.json and what they are here. Private to its reader and its writer.
namespace ddpm_eval::ddpm {

inline const Words<Prediction> kDiffusersPredictions = {
    {"epsilon", Prediction::kEps}, {"sample", Prediction::kX0}, {"v_prediction", Prediction::kV}};
inline const std::vector<std::pair<std::string, std::string>> kDiffusersSchedules = {
    {"linear", "linear"}, {"scaled_linear", "quad"}, {"squaredcos_cap_v2", "cosine"}, {"sigmoid", "sigmoid"}};
// The two _log forms have the same variance in another guise.
inline const Words<ModelVariance> kDiffusersVariances = {{"fixed_large", ModelVariance::kFixedLarge},
                                                         {"fixed_small", ModelVariance::kFixedSmall},
                                                         {"learned_range", ModelVariance::kLearnedRange},
                                                         {"fixed_large_log", ModelVariance::kFixedLarge},
                                                         {"fixed_small_log", ModelVariance::kFixedSmall}};
inline const Words<Spacing> kDiffusersSpacings = {
    {"leading", Spacing::kLeading}, {"linspace", Spacing::kLinspace}, {"trailing", Spacing::kTrailing}};

/// For sample_max_value: no estimate of x_0 is near it.
inline constexpr double kNoThresholdLimit = 1e6;

}  // namespace ddpm_eval::ddpm
