#include "base/training/adam_kernel.h"

#include "base/core/target_clones.h"

#include <cmath>

namespace ddpm_eval::training::detail {
namespace {

template <class Real>
DDPM_EVAL_INLINE void adam(Real* __restrict parameter, const Real* __restrict grad, Real* __restrict exp_avg,
                           Real* __restrict exp_avg_sq, int64_t count,
                           const AdamCoefficients<Real>& coefficients) {
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
DDPM_EVAL_INLINE void move(Real* __restrict average, const Real* __restrict value, int64_t count,
                           Real weight) {
  // From the nearer end, so that a weight of 1 gives the value itself.
  if (weight < Real(0.5)) {
    for (int64_t i = 0; i < count; ++i) {
      average[i] = average[i] + weight * (value[i] - average[i]);
    }
  } else {
    const Real rest = Real(1) - weight;
    for (int64_t i = 0; i < count; ++i) {
      average[i] = value[i] - (value[i] - average[i]) * rest;
    }
  }
}

template <class Real>
DDPM_EVAL_INLINE double squares(const Real* values, int64_t count) {
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

// NOLINTBEGIN(bugprone-macro-parentheses): a type does not stand in parentheses.
// For both kinds of numbers: what is compiled several times must not be a template.
#define DDPM_EVAL_TRAINING_KERNELS(Real)                                                            \
  DDPM_EVAL_CLONES void adam_of(Real* parameter, const Real* grad, Real* exp_avg, Real* exp_avg_sq, \
                                int64_t count, const AdamCoefficients<Real>& c) {                   \
    adam(parameter, grad, exp_avg, exp_avg_sq, count, c);                                           \
  }                                                                                                 \
  DDPM_EVAL_CLONES void average_of(Real* average, const Real* value, int64_t count, Real weight) {  \
    move(average, value, count, weight);                                                            \
  }                                                                                                 \
  DDPM_EVAL_CLONES double squares_of(const Real* values, int64_t count) { return squares(values, count); }

DDPM_EVAL_TRAINING_KERNELS(float)
DDPM_EVAL_TRAINING_KERNELS(double)
#undef DDPM_EVAL_TRAINING_KERNELS
// NOLINTEND(bugprone-macro-parentheses)

}  // namespace

template <class Real>
void adam_block(Real* parameter, const Real* grad, Real* exp_avg, Real* exp_avg_sq, int64_t count,
                const AdamCoefficients<Real>& c) {
  adam_of(parameter, grad, exp_avg, exp_avg_sq, count, c);
}

template <class Real>
void average_block(Real* average, const Real* value, int64_t count, Real weight) {
  average_of(average, value, count, weight);
}

template <class Real>
double sum_of_squares(const Real* values, int64_t count) {
  return squares_of(values, count);
}

template void adam_block(float*, const float*, float*, float*, int64_t, const AdamCoefficients<float>&);
template void adam_block(double*, const double*, double*, double*, int64_t, const AdamCoefficients<double>&);
template void average_block(float*, const float*, int64_t, float);
template void average_block(double*, const double*, int64_t, double);
template double sum_of_squares(const float*, int64_t);
template double sum_of_squares(const double*, int64_t);

}  // namespace ddpm_eval::training::detail
