#include "base/tensor/derivative.h"

#include "base/core/error.h"

#include <ATen/core/grad_mode.h>

namespace ddpm_eval::tensor {

void refuse_second_derivative(std::string_view of) {
  // The engine switches gradients on within a backward pass if it is to be differentiated, and only then.
  DDPM_CHECK(!at::GradMode::is_enabled(), "{} has no second derivative", of);
}

}  // namespace ddpm_eval::tensor
