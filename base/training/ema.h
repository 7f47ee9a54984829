#pragma once

#include "base/tensor/named_tensor.h"

#include <cstdint>

namespace ddpm_eval::training {

struct EmaOptions {
  double decay = 0.9999;  ///< in [0, 1); 0: the average is the current weights
  bool ramp = false;      ///< lower decay at the start of short runs: see ema_decay()
};

/// The decay of update n (0-based): min(decay, (1 + n) / (10 + n)) with the ramp, as TensorFlow's
/// ExponentialMovingAverage with num_updates; otherwise `decay`.
double ema_decay(const EmaOptions& options, int64_t n);

/// Exponential moving average of weights: shadow = d * shadow + (1 - d) * weight, from a copy of the initial
/// weights. Floating buffers (running statistics) are averaged alike, since they must fit the averaged
/// weights; integer buffers (counters) are copied.
class Ema {
 public:
  Ema() = default;
  Ema(const tensor::NamedTensors& parameters, const tensor::NamedTensors& buffers, const EmaOptions& options);

  /// Update n (0-based). Names and order as given to the constructor.
  void update(const tensor::NamedTensors& parameters, const tensor::NamedTensors& buffers, int64_t n);

  /// The averages, named as the weights; the tensors are this object's own.
  const tensor::NamedTensors& parameters() const { return parameters_; }
  const tensor::NamedTensors& buffers() const { return buffers_; }

 private:
  EmaOptions options_;
  tensor::NamedTensors parameters_;
  tensor::NamedTensors buffers_;
};

}  // namespace ddpm_eval::training
