#pragma once

#include "ddpm/process.h"

#include <cstdint>

#include <ATen/core/Tensor.h>

// What a network's output means: which function of (x_0, eps) it predicts, and whether it gives a variance
// too.
namespace ddpm_eval::ddpm {

enum class Prediction {
  kEps,      ///< the noise (Ho et al. 2020, eq. 11)
  kX0,       ///< the data
  kMuTilde,  ///< the posterior mean mu_tilde_t(x_t, x_0) (Ho et al. 2020, eq. 8; "xprev" in the official
             ///< code)
  kV,        ///< sqrt(alpha_bar) eps - sqrt(1 - alpha_bar) x_0 (Salimans & Ho 2022)
};

/// The variance sigma_t^2 of p_theta(x_{t-1} | x_t).
enum class ModelVariance {
  kFixedLarge,    ///< beta_t
  kFixedSmall,    ///< beta_tilde_t
  kLearned,       ///< exp(v), v being the second half of the output: Table 2's "learned diagonal"
  kLearnedRange,  ///< between both in the log: exp(f log beta + (1 - f) log beta_tilde), f = (v + 1) / 2
                  ///< (Nichol & Dhariwal 2021, eq. 15)
};

struct Parameterisation {
  Prediction prediction = Prediction::kEps;
  ModelVariance variance = ModelVariance::kFixedLarge;

  bool learns_variance() const;

  /// Channels, or coordinates, of the output for data with `channels`: twice as many if the variance is
  /// learned.
  int64_t output_channels(int64_t channels) const { return learns_variance() ? 2 * channels : channels; }

  /// Throws UsageError if x_0 cannot be had from the output at every t: eps where alpha_bar_T is 0 (jsd).
  void require_suits(const DiffusionProcess& process) const;
};

/// The halves of an output [n, C or 2 C, ...].
struct SplitOutput {
  at::Tensor mean;      ///< [n, C, ...]: what Prediction says
  at::Tensor variance;  ///< [n, C, ...]; undefined unless the variance is learned
};
SplitOutput split_output(const Parameterisation& parameterisation, const at::Tensor& output);

/// What the network should have given for x_t = q_sample(x_0, t, eps), of x_0's shape.
at::Tensor training_target(Prediction prediction, const DiffusionProcess& process, const at::Tensor& x_0,
                           const at::Tensor& x_t, const at::Tensor& t, const at::Tensor& eps);

/// The x_0 that the first half of the output stands for, unclipped. From mu_tilde it is of no use early in a
/// long chain: at t = 999 of the paper's, errors are magnified 7,791 times.
at::Tensor x_0_from_output(Prediction prediction, const DiffusionProcess& process, const at::Tensor& x_t,
                           const at::Tensor& t, const at::Tensor& mean_output);

/// log sigma_t^2 by `parameterisation`, from the whole output: of the mean's shape, or [n, 1, ...] if it is
/// fixed. `process` may be a sub-chain, unless the variance is kLearned, which holds for the trained chain
/// alone.
at::Tensor model_log_variance(const Parameterisation& parameterisation, const DiffusionProcess& process,
                              const at::Tensor& t, const at::Tensor& output, const at::Tensor& like);

/// p_theta(x_{t-1} | x_t).
struct ReverseStep {
  at::Tensor x_0;           ///< the estimate, clipped if asked for
  at::Tensor mean;          ///< mu_tilde(x_t, x_0); for Prediction::kMuTilde the output itself, never clipped
  at::Tensor log_variance;  ///< of mean's shape, or [n, 1, ...] if fixed. Entry t = 0 as in the official code
};

/// From the network's whole output [n, C or 2 C, ...], in the dtype of x_t. `clip` limits x_0 to [-1, 1]. As
/// p_mean_variance in the official code.
ReverseStep reverse_step(const Parameterisation& parameterisation, const DiffusionProcess& process,
                         const at::Tensor& x_t, const at::Tensor& t, const at::Tensor& output, bool clip);

}  // namespace ddpm_eval::ddpm
