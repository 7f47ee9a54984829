#pragma once

#include "base/tensor/named_tensor.h"

#include <cstdint>
#include <optional>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::ddpm {

/// Present in a training pass: what dropout masks are keyed by. An evaluation pass has none and no dropout.
struct TrainingPass {
  uint64_t seed = 0;
  int64_t step = 0;
  int64_t first_row = 0;  ///< where in the step's batch this pass begins
};

/// The function of (x_t, t) that is learned. What its output means is the business of the objective
/// and the sampler (see Parameterisation), not of the network.
class DiffusionNetwork {
 public:
  virtual ~DiffusionNetwork() = default;

  /// x_t: float32 [n, ...]; t: int64 [n], 0-based, of the process in which the network is trained. Returns
  /// float32 of x_t's shape, but for the number of channels, which is the network's own.
  at::Tensor forward(const at::Tensor& x_t, const at::Tensor& t,
                     const std::optional<TrainingPass>& pass = std::nullopt) const {
    return run(x_t, t, pass);
  }

  /// Leaf tensors that require gradients, contiguous, in a fixed order, under unique names. They are the
  /// network's own: writing to them changes it.
  virtual const tensor::NamedTensors& parameters() const = 0;

  /// Where the parameters are, and so where inputs must be.
  at::Device device() const {
    return parameters().empty() ? at::Device(at::kCPU) : parameters().front().tensor.device();
  }

 protected:
  virtual at::Tensor run(const at::Tensor& x_t, const at::Tensor& t,
                         const std::optional<TrainingPass>& pass) const = 0;
};

/// Numbers in all of `tensors` together.
int64_t count_elements(const tensor::NamedTensors& tensors);

}  // namespace ddpm_eval::ddpm
