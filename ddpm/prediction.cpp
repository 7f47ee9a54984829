#include "ddpm/prediction.h"

#include "base/core/error.h"

#include <torch/types.h>

namespace ddpm_eval::ddpm {

at::Tensor training_target(Prediction prediction, const at::Tensor& /*x_0*/, const at::Tensor& eps) {
  DDPM_CHECK(prediction == Prediction::kEps, "unknown prediction");
  return eps;
}

at::Tensor x_0_from_output(Prediction prediction, const DiffusionProcess& process, const at::Tensor& x_t,
                           const at::Tensor& t, const at::Tensor& output) {
  DDPM_CHECK(prediction == Prediction::kEps, "unknown prediction");
  return process.x_0_from_eps(x_t, t, output);
}

}  // namespace ddpm_eval::ddpm
