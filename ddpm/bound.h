#pragma once

#include "ddpm/parameterisation.h"
#include "ddpm/process.h"

#include <ATen/core/Tensor.h>

// The terms of the variational bound on -log p(x_0) (Ho et al. 2020, eq. 5): L_T, which has nothing to learn;
// L_{t-1}, one Kullback-Leibler divergence a step; and L_0, the decoder.
namespace ddpm_eval::ddpm {

/// What p_theta(x_0 | x_1) is a distribution over, and so the unit of every term.
enum class Decoder {
  kDiscretised,  ///< 8-bit values, scaled to [-1, 1]: probabilities, in bits per dimension
  kContinuous,   ///< real numbers, for points: a density, in nats per dimension; may fall below zero
};

/// KL(N(mean_1, e^log_variance_1) || N(mean_2, e^log_variance_2)), elementwise in nats.
at::Tensor normal_kl(const at::Tensor& mean_1, const at::Tensor& log_variance_1, const at::Tensor& mean_2,
                     const at::Tensor& log_variance_2);

/// log of the probability that a Gaussian gives to the bin of width 2/255 around x, elementwise in nats; the
/// outermost bins reach to infinity (Ho et al. 2020, eq. 13). The normal distribution function is the
/// official code's tanh form, which published figures contain (within 1.8e-4 of the exact one), and
/// probabilities are floored at 1e-12, where the gradient vanishes. `x` holds values k / 127.5 - 1.
at::Tensor discretised_log_likelihood(const at::Tensor& x, const at::Tensor& mean,
                                      const at::Tensor& log_variance);

/// log of the density of N(mean, e^log_variance) at x, elementwise in nats.
at::Tensor gaussian_log_density(const at::Tensor& x, const at::Tensor& mean, const at::Tensor& log_variance);

/// L_{t-1} of each example, or L_0 where t is 0: [n], mean over dimensions in the decoder's unit. `t` is
/// int64 [n]; `step` is p_theta(x_{t-1} | x_t).
at::Tensor bound_terms(const DiffusionProcess& process, Decoder decoder, const at::Tensor& x_0,
                       const at::Tensor& x_t, const at::Tensor& t, const ReverseStep& step);

/// L_T of each example: KL(q(x_T | x_0) || N(0, I)), [n], mean over dimensions in the decoder's unit.
at::Tensor prior_terms(const DiffusionProcess& process, Decoder decoder, const at::Tensor& x_0);

}  // namespace ddpm_eval::ddpm
