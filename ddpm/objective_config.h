#pragma once

#include "base/core/config.h"
#include "ddpm/parameterisation.h"
#include "ddpm/t_sampling.h"

namespace ddpm_eval::ddpm {

enum class Loss {
  kSimple,    ///< mean squared error of what is predicted: eq. 14 for eps
  kBound,     ///< L, one t at a time: L_{t-1} or L_0 ("kl" in the official code)
  kBoundSum,  ///< T times as much, so that its expectation is L - L_T ("rescaled kl")
  kHybrid,  ///< simple + hybrid_weight T L_{t-1}, the mean held fixed in the second (Nichol & Dhariwal 2021,
            ///< eq. 16)
};

enum class Weighting {
  kNone,
  kMinSnr,  ///< min(SNR, gamma), over SNR for eps and over SNR + 1 for v (Hang et al. 2023)
};

/// Section [objective]: what the network predicts and how it is judged. The paper's Table 2 is prediction mu
/// or eps with loss bound (variance learned or fixed) or simple.
struct ObjectiveConfig {
  Parameterisation parameterisation{};
  Loss loss = Loss::kSimple;
  double hybrid_weight = 0.001;
  Weighting weighting = Weighting::kNone;
  double snr_gamma = 5;
  TSampling t_sampling = TSampling::kUniform;

  void fields(core::ConfigVisitor& v);

  /// Throws UsageError naming the key for combinations that contradict themselves: a learned variance with a
  /// loss that does not reach it or the other way round, a process in which the prediction is undefined.
  void validate(const DiffusionProcess& process) const;
};

}  // namespace ddpm_eval::ddpm
