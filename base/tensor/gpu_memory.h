#pragma once

#include <atomic>
#include <functional>
#include <vector>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::tensor {

/// Runs work on the rows of a micro-batch, and on half of them at a time once a GPU's memory has not sufficed
/// for all. May be called from several threads.
class HalvedWhenFull {
 public:
  /// Makes tensors of n rows of tensors of n rows, each row of its own row alone. Undefined tensors are
  /// handed on.
  using Body = std::function<std::vector<at::Tensor>(const std::vector<at::Tensor>& inputs)>;

  /// What `body` makes of `inputs`, which have the same number of rows. If it throws c10::OutOfMemoryError,
  /// it is given the first and the last half of the rows instead, and its results are joined; so is all that
  /// comes later, as it would not fit either. Which products a GPU chooses depends on the rows, so this may
  /// change last bits: see batches_were_halved(). What it throws for a half, or for a single row, goes on.
  std::vector<at::Tensor> operator()(const std::vector<at::Tensor>& inputs, const Body& body) const;

 private:
  mutable std::atomic<bool> halved_ = false;
};

/// Whether one of this process was halved; runtime_context() says so.
bool batches_were_halved();

}  // namespace ddpm_eval::tensor
