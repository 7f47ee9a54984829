#pragma once

#include "base/tensor/named_tensor.h"

#include <cstdint>
#include <map>
#include <string>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::training {

/// What one step adds to the log beside the loss: "loss_q0" -> 0.12.
using StepLog = std::map<std::string, double>;

/// Rows [begin, end) of the batch of a step.
struct Rows {
  int64_t begin = 0;
  int64_t end = 0;

  int64_t count() const { return end - begin; }
};

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

  /// Whether part_of_loss() can be asked for less than a whole batch. False where rows depend on one another,
  /// as with batch norm.
  virtual bool can_be_split() const { return false; }

  /// What `rows` contribute to loss(): the parts of consecutive rows, each from where the one before ended
  /// and with the parameters unchanged, sum to loss() up to rounding, and their gradients to its own, over
  /// all processes that work together (tensor::process_group()).
  virtual at::Tensor part_of_loss(int64_t step, Rows rows);

  /// After the parts of `own` rows, none or more: takes in what the step's losses were and fills `log`, over
  /// the whole batch. Of processes that work together, whose rows make up the batch by rank, all call it.
  virtual void end_of_parts(int64_t step, Rows own, StepLog& log);

  /// Images that one step consumes, for the rate in the log.
  virtual int64_t batch_size() const = 0;
};

}  // namespace ddpm_eval::training
