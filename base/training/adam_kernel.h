#pragma once

#include <cstdint>

// Inner loops of the optimiser over plain arrays, float or double. Private to base/training.
namespace ddpm_eval::training::detail {

/// What one optimiser step multiplies with, rounded once to the parameters' type.
template <class Real>
struct AdamCoefficients {
  Real beta1;
  Real one_minus_beta1;
  Real beta2;
  Real one_minus_beta2;
  Real grad_scale;        ///< gradient clipping
  Real step_size;         ///< learning rate / (1 - beta1^t)
  Real inverse_root_bc2;  ///< 1 / sqrt(1 - beta2^t)
  Real eps;
  Real keep;  ///< 1 - learning rate * weight decay
};

template <class Real>
void adam_block(Real* parameter, const Real* grad, Real* exp_avg, Real* exp_avg_sq, int64_t count,
                const AdamCoefficients<Real>& c);

/// average += weight (value - average).
template <class Real>
void average_block(Real* average, const Real* value, int64_t count, Real weight);

/// In float64, over eight interleaved partial sums whatever the instruction set.
template <class Real>
double sum_of_squares(const Real* values, int64_t count);

}  // namespace ddpm_eval::training::detail
