#pragma once

#include <gmock/gmock.h>
#include <torch/types.h>

namespace ddpm_eval::testing {

/// Largest absolute difference at most `atol`; shapes must agree, NaN never matches.
MATCHER_P2(TensorNear, want, atol, "") {
  if (arg.sizes() != want.sizes()) {
    *result_listener << "shape " << arg.sizes() << " instead of " << want.sizes();
    return false;
  }
  const double worst =
      (arg.to(torch::kFloat64) - want.to(torch::kFloat64)).abs().max().template item<double>();
  *result_listener << "largest difference " << worst;
  return worst <= atol;
}

/// The same bits, shape and dtype.
MATCHER_P(TensorEq, want, "") { return arg.scalar_type() == want.scalar_type() && torch::equal(arg, want); }

}  // namespace ddpm_eval::testing
