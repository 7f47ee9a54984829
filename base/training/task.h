#pragma once

#include "base/tensor/named_tensor.h"

#include <cstdint>
#include <map>
#include <string>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::training {

/// What one step adds to the log beside the loss: "loss_q0" -> 0.12.
using StepLog = std::map<std::string, double>;

/// What the training loop needs to know of a model: its parameters and a loss. A diffusion model and a
/// classifier are both one of these; the loop knows neither.
class TrainTask {
 public:
  virtual ~TrainTask() = default;

  /// Leaf tensors that require gradients, in a fixed order. The loop updates them in place.
  virtual tensor::NamedTensors parameters() = 0;

  /// State that is saved and averaged with no gradient, such as running statistics of batch norm. May be
  /// empty.
  virtual tensor::NamedTensors buffers() = 0;

  /// The scalar loss of optimiser step `step` (0-based), with graph. A pure function of the parameters, the
  /// buffers and `step`: data order and noise are keyed by the step, which is what makes a resumed run equal
  /// an unbroken one.
  virtual at::Tensor loss(int64_t step, StepLog& log) = 0;

  /// Images that one step consumes, for the rate in the log.
  virtual int64_t batch_size() const = 0;
};

}  // namespace ddpm_eval::training
