#pragma once

#include <atomic>
#include <functional>
#include <vector>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::tensor {

/// Whether micro-batches are worked on in halves.
using Halving = std::atomic<bool>;

/// That of the process: what did not fit once is not tried again, and all batches of a command are cut alike.
Halving& process_halving();

/// Makes tensors of n rows of tensors of n rows, each row of its own row alone. Undefined tensors are handed
/// on.
using BatchBody = std::function<std::vector<at::Tensor>(const std::vector<at::Tensor>& inputs)>;

/// What `body` makes of `inputs`, which have the same number of rows. If it throws c10::OutOfMemoryError, it
/// is given the first and the last half of the rows instead, and its results are joined; so is all that comes
/// later. Which products a GPU chooses depends on the rows, so this may change last bits: see
/// batches_were_halved(). What it throws for a half, or for a single row, goes on. May be called from several
/// threads.
std::vector<at::Tensor> halved_when_full(const std::vector<at::Tensor>& inputs, const BatchBody& body,
                                         Halving& halving = process_halving());

/// Whether this process works in halves; runtime_context() says so.
bool batches_were_halved();

}  // namespace ddpm_eval::tensor
