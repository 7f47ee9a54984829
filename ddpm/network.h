#pragma once

#include "base/tensor/named_tensor.h"
#include "base/tensor/precision.h"

#include <cstdint>
#include <memory>
#include <optional>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::ddpm {

/// Present in a training pass: what dropout masks are keyed by, and what the network computes in. An
/// evaluation pass has none, no dropout, and is in float32 unless the network was prepared otherwise.
struct TrainingPass {
  uint64_t seed = 0;
  int64_t step = 0;
  int64_t first_row = 0;  ///< where in the step's batch this pass begins
  tensor::Precision precision = tensor::Precision::kFloat32;
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

  /// This network for many evaluations with the weights of now, computing in `precision`: as fast as it can.
  /// Null if it is as fast as that already. What a row of its output is depends neither on the other rows nor
  /// on the number of threads, where the convolutions are tensor's own: LibTorch 2 and GPUs choose theirs by
  /// the number of rows, which moves last bits. Not differentiable; shares the parameters' memory, which must
  /// outlive it and stay unchanged. Throws UsageError for a precision that the network does not have.
  virtual std::unique_ptr<const DiffusionNetwork> prepare(tensor::Precision precision) const;

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
