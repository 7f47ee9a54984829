#pragma once

#include "ddpm/network.h"

#include <string>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::ddpm {

/// x / (1 - rate) where kept and 0 elsewhere, for x [n, c, h, w]; what is kept of row r depends on (seed,
/// step, purpose, r) alone. Channels-last input in float32 or bfloat16 on the CPU takes one pass forward and
/// one backward. Differentiable once. `place` is mask_place() of the pass if the caller has it already; what
/// is recorded for replay (tensor::ReplayedFunction) must.
at::Tensor dropout(const at::Tensor& x, double rate, const TrainingPass& pass, const std::string& purpose,
                   const at::Tensor& place = {});

}  // namespace ddpm_eval::ddpm
