#include "base/training/adam_kernel.h"

#include <cmath>

namespace ddpm_eval::training::detail {

template <class Real>
void adam_block(Real* __restrict parameter, const Real* __restrict grad, Real* __restrict exp_avg,
                Real* __restrict exp_avg_sq, int64_t count, const AdamCoefficients<Real>& coefficients) {
  const AdamCoefficients<Real> c = coefficients;
  for (int64_t i = 0; i < count; ++i) {
    const Real g = grad[i] * c.grad_scale;
    const Real m = c.beta1 * exp_avg[i] + c.one_minus_beta1 * g;
    const Real v = c.beta2 * exp_avg_sq[i] + c.one_minus_beta2 * (g * g);
    exp_avg[i] = m;
    exp_avg_sq[i] = v;
    parameter[i] = c.keep * parameter[i] - c.step_size * (m / (std::sqrt(v) * c.inverse_root_bc2 + c.eps));
  }
}

template <class Real>
double sum_of_squares(const Real* values, int64_t count) {
  constexpr int64_t kLanes = 8;
  double sums[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const auto value = static_cast<double>(values[i + lane]);
      sums[lane] += value * value;
    }
  }
  for (; i < count; ++i) {
    const auto value = static_cast<double>(values[i]);
    sums[i % kLanes] += value * value;
  }
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

template void adam_block(float*, const float*, float*, float*, int64_t, const AdamCoefficients<float>&);
template void adam_block(double*, const double*, double*, double*, int64_t, const AdamCoefficients<double>&);
template double sum_of_squares(const float*, int64_t);
template double sum_of_squares(const double*, int64_t);

}  // namespace ddpm_eval::training::detail
