#include "base/tensor/gpu_memory.h"

#include "base/core/error.h"

#include <c10/util/Exception.h>
#include <torch/types.h>

#ifdef DDPM_EVAL_WITH_CUDA
#include <c10/cuda/CUDACachingAllocator.h>
#endif

namespace ddpm_eval::tensor {
namespace {

/// Hands back what LibTorch keeps for later, in blocks that may not suit halves.
void empty_cache() {
#ifdef DDPM_EVAL_WITH_CUDA
  if (at::hasCUDA()) {
    c10::cuda::CUDACachingAllocator::emptyCache();
  }
#endif
}

int64_t rows_of(const std::vector<at::Tensor>& tensors) {
  for (const auto& tensor : tensors) {
    if (tensor.defined()) {
      return tensor.size(0);
    }
  }
  return 0;
}

std::vector<at::Tensor> rows_from(const std::vector<at::Tensor>& tensors, int64_t begin, int64_t count) {
  std::vector<at::Tensor> part;
  for (const auto& tensor : tensors) {
    part.push_back(tensor.defined() ? tensor.narrow(0, begin, count) : tensor);
  }
  return part;
}

std::vector<at::Tensor> in_halves(const std::vector<at::Tensor>& inputs, int64_t rows,
                                  const BatchBody& body) {
  const int64_t first = (rows + 1) / 2;
  auto joined = body(rows_from(inputs, 0, first));
  const auto rest = body(rows_from(inputs, first, rows - first));
  DDPM_CHECK(joined.size() == rest.size(), "{} results of a half and {} of the other", joined.size(),
             rest.size());
  for (size_t i = 0; i < joined.size(); ++i) {
    joined[i] = joined[i].defined() ? at::cat({joined[i], rest[i]}) : joined[i];
  }
  return joined;
}

}  // namespace

Halving& process_halving() {
  static Halving halving = false;
  return halving;
}

std::vector<at::Tensor> halved_when_full(const std::vector<at::Tensor>& inputs, const BatchBody& body,
                                         Halving& halving) {
  const int64_t rows = rows_of(inputs);
  if (rows < 2) {
    return body(inputs);
  }
  if (!halving) {
    try {
      return body(inputs);
    } catch (const c10::OutOfMemoryError&) {
      // Halves are run outside, when what the failed attempt held is free.
    }
    empty_cache();
    halving = true;
  }
  return in_halves(inputs, rows, body);
}

bool batches_were_halved() { return process_halving(); }

}  // namespace ddpm_eval::tensor
