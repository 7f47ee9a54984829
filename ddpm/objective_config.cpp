#include "ddpm/objective_config.h"

#include "base/core/error.h"
#include "ddpm/choice.h"

namespace ddpm_eval::ddpm {
namespace {

const Words<Prediction> kPredictionWords = {
    {"eps", Prediction::kEps}, {"x_0", Prediction::kX0}, {"mu", Prediction::kMuTilde}, {"v", Prediction::kV}};
const Words<ModelVariance> kModelVarianceWords = {{"fixedlarge", ModelVariance::kFixedLarge},
                                                  {"fixedsmall", ModelVariance::kFixedSmall},
                                                  {"learned", ModelVariance::kLearned},
                                                  {"learned-range", ModelVariance::kLearnedRange}};
const Words<Loss> kLossWords = {{"simple", Loss::kSimple},
                                {"bound", Loss::kBound},
                                {"bound-sum", Loss::kBoundSum},
                                {"hybrid", Loss::kHybrid}};
const Words<Weighting> kWeightingWords = {{"none", Weighting::kNone}, {"min-snr", Weighting::kMinSnr}};
const Words<TSampling> kTSamplingWords = {{"uniform", TSampling::kUniform},
                                          {"antithetic", TSampling::kAntithetic},
                                          {"importance", TSampling::kImportance}};

}  // namespace

void ObjectiveConfig::fields(core::ConfigVisitor& v) {
  choice(v, "prediction", parameterisation.prediction, kPredictionWords);
  choice(v, "variance", parameterisation.variance, kModelVarianceWords);
  choice(v, "loss", loss, kLossWords);
  v.value("hybrid_weight", hybrid_weight);
  choice(v, "weighting", weighting, kWeightingWords);
  v.value("snr_gamma", snr_gamma);
  choice(v, "t_sampling", t_sampling, kTSamplingWords);
}

void ObjectiveConfig::validate(const DiffusionProcess& process) const {
  const bool learned = parameterisation.learns_variance();
  const auto variance = word_of(kModelVarianceWords, parameterisation.variance);
  parameterisation.require_suits(process);
  if (learned && loss == Loss::kSimple) {
    throw core::UsageError(core::Key{"objective.variance"},
                           "'{}' is not trained by objective.loss = 'simple'; use 'bound', 'bound-sum' or "
                           "'hybrid'",
                           variance);
  }
  if (!learned && loss == Loss::kHybrid) {
    throw core::UsageError(core::Key{"objective.loss"},
                           "'hybrid' trains a variance besides, and objective.variance = '{}' has none to "
                           "train; "
                           "use 'learned' or 'learned-range'",
                           variance);
  }
  if (!(hybrid_weight > 0)) {
    throw core::UsageError(core::Key{"objective.hybrid_weight"}, "{} is not a positive number",
                           hybrid_weight);
  }
  const bool squared = loss == Loss::kSimple || loss == Loss::kHybrid;
  if (weighting == Weighting::kMinSnr && (!squared || parameterisation.prediction == Prediction::kMuTilde)) {
    throw core::UsageError(core::Key{"objective.weighting"},
                           "'min-snr' weighs the squared error of eps, x_0 or v, in losses 'simple' and "
                           "'hybrid'");
  }
  if (!(snr_gamma > 0)) {
    throw core::UsageError(core::Key{"objective.snr_gamma"}, "{} is not a positive number", snr_gamma);
  }
  if (t_sampling == TSampling::kImportance && squared) {
    throw core::UsageError(core::Key{"objective.t_sampling"},
                           "'importance' evens out the bound's terms; use it with loss 'bound' or "
                           "'bound-sum'");
  }
}

}  // namespace ddpm_eval::ddpm
