#pragma once

#include "base/tensor/named_tensor.h"

#include <cstdint>

namespace ddpm_eval::training {

/// Adam's constants (Kingma & Ba 2015). The learning rate is given at each step.
struct AdamOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;        ///< added outside the root, as torch.optim.Adam does
  double weight_decay = 0;  ///< decoupled: weights shrink by learning rate * weight_decay (AdamW). 0: off
};

/// Adam with bias correction. Every parameter is updated in one pass over its memory, clipping included; the
/// result does not depend on the number of threads. Moments have the parameters' dtype and memory order.
class Adam {
 public:
  /// Nothing to update; for members that are filled later.
  Adam() = default;

  /// Zero moments for `parameters`, whose names and order must stay the same from then on.
  Adam(const tensor::NamedTensors& parameters, const AdamOptions& options);

  /// One step from the gradients in `parameters`, each multiplied with `grad_scale` first. `step` is 0-based
  /// and only sets the bias correction 1 - beta^(step + 1). A parameter without a gradient is left alone with
  /// its moments, as torch.optim does.
  void update(const tensor::NamedTensors& parameters, int64_t step, double learning_rate,
              double grad_scale = 1.0);

  /// The state by name, `exp_avg.<parameter>` and `exp_avg_sq.<parameter>`; the tensors are the optimiser's
  /// own, so that copying into them restores it.
  tensor::NamedTensors state() const;

 private:
  AdamOptions options_;
  tensor::NamedTensors exp_avg_;     ///< first moments, named as the parameters
  tensor::NamedTensors exp_avg_sq_;  ///< second moments
};

}  // namespace ddpm_eval::training
