#include "ddpm/parameterisation.h"

#include "base/core/error.h"
#include "base/tensor/shape.h"
#include "ddpm/table_values.h"

#include <cmath>

#include <torch/types.h>

namespace ddpm_eval::ddpm {
bool Parameterisation::learns_variance() const {
  return variance == ModelVariance::kLearned || variance == ModelVariance::kLearnedRange;
}

void Parameterisation::require_suits(const DiffusionProcess& process) const {
  if (prediction == Prediction::kEps) {
    process.require_eps_prediction();
  }
}

SplitOutput split_output(const Parameterisation& parameterisation, const at::Tensor& output) {
  if (!parameterisation.learns_variance()) {
    return {output, {}};
  }
  DDPM_CHECK(output.dim() >= 2 && output.size(1) % 2 == 0, "an output with a variance is {}",
             tensor::describe(output));
  const int64_t half = output.size(1) / 2;
  return {output.narrow(1, 0, half), output.narrow(1, half, half)};
}

at::Tensor training_target(Prediction prediction, const DiffusionProcess& process, const at::Tensor& x_0,
                           const at::Tensor& x_t, const at::Tensor& t, const at::Tensor& eps) {
  switch (prediction) {
    case Prediction::kEps:
      return eps;
    case Prediction::kX0:
      return x_0;
    case Prediction::kMuTilde:
      return process.posterior_mean(x_0, x_t, t);
    case Prediction::kV:
      return process.v_from(x_0, t, eps);
  }
  DDPM_CHECK(false, "unknown prediction");
}

at::Tensor x_0_from_output(Prediction prediction, const DiffusionProcess& process, const at::Tensor& x_t,
                           const at::Tensor& t, const at::Tensor& mean_output) {
  switch (prediction) {
    case Prediction::kEps:
      return process.x_0_from_eps(x_t, t, mean_output);
    case Prediction::kX0:
      return mean_output;
    case Prediction::kMuTilde:
      return process.x_0_from_posterior_mean(x_t, t, mean_output);
    case Prediction::kV:
      return process.x_0_from_v(x_t, t, mean_output);
  }
  DDPM_CHECK(false, "unknown prediction");
}

at::Tensor model_log_variance(const Parameterisation& parameterisation, const DiffusionProcess& process,
                              const at::Tensor& t, const at::Tensor& output, const at::Tensor& like) {
  switch (parameterisation.variance) {
    case ModelVariance::kFixedLarge:
      return values_at(process.log_variance(Variance::kFixedLarge), t, like);
    case ModelVariance::kFixedSmall:
      return values_at(process.log_variance(Variance::kFixedSmall), t, like);
    case ModelVariance::kLearned:
      return split_output(parameterisation, output).variance;
    case ModelVariance::kLearnedRange: {
      std::vector<double> largest;
      for (const double beta : process.tables().beta) {
        largest.push_back(std::log(beta));
      }
      const auto upper = values_at(largest, t, like);
      const auto lower = values_at(process.log_variance(Variance::kFixedSmall), t, like);
      return lower + (split_output(parameterisation, output).variance + 1) * 0.5 * (upper - lower);
    }
  }
  DDPM_CHECK(false, "unknown variance");
}

ReverseStep reverse_step(const Parameterisation& parameterisation, const DiffusionProcess& process,
                         const at::Tensor& x_t, const at::Tensor& t, const at::Tensor& output, bool clip) {
  const auto mean_output = split_output(parameterisation, output).mean;
  ReverseStep step;
  step.x_0 = x_0_from_output(parameterisation.prediction, process, x_t, t, mean_output);
  if (clip) {
    step.x_0 = step.x_0.clamp(-1, 1);
  }
  step.mean = parameterisation.prediction == Prediction::kMuTilde ? mean_output
                                                                  : process.posterior_mean(step.x_0, x_t, t);
  step.log_variance = model_log_variance(parameterisation, process, t, output, x_t);
  return step;
}

}  // namespace ddpm_eval::ddpm
