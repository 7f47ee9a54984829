#pragma once

#include "base/core/config.h"

#include <cstdint>
#include <string>
#include <vector>

namespace ddpm_eval::ddpm {

// clang-format off
/// How the noise grows with t. T is `steps`, t = 0..T-1, and (b0, b1) are (beta_start, beta_end):
///   linear    linspace(b0, b1, T); Ho et al. 2020
///   quad      linspace(sqrt(b0), sqrt(b1), T)^2; the official code ("scaled_linear" in diffusers)
///   sigmoid   sigma(linspace(-6, 6, T)) (b1 - b0) + b0; the DDIM code. Its ends are near b0 and b1
///   cosine    min(1 - f(t+1)/f(t), 0.999), f(t) = cos^2((t/T + 0.008)/1.008 pi/2); Nichol & Dhariwal 2021
///   const     b1 everywhere
///   warmup10  b1, but the first tenth rises linearly from b0
///   warmup50  b1, but the first half rises linearly from b0
///   jsd       1/T, 1/(T-1), ..., 1; Sohl-Dickstein et al. 2015. alpha_bar_T is 0: not for eps-prediction
// clang-format on
struct ScheduleConfig {
  std::string kind = "linear";
  int64_t steps = 1000;
  double beta_start = 1e-4;
  double beta_end = 0.02;
  /// Multiplies both end points by 1000/T, so that a short chain ends as near to N(0, I) as one of 1000 steps
  /// (improved-diffusion's convention). cosine and jsd have no end points and do not change.
  bool rescale = false;

  void fields(core::ConfigVisitor& v);
};

/// The T variances beta_t of the forward process, each in (0, 1]. Throws UsageError for a number of steps
/// outside 1..100000, end points out of order or a beta outside (0, 1].
std::vector<double> make_betas(const ScheduleConfig& config);

}  // namespace ddpm_eval::ddpm
