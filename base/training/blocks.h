#pragma once

#include "base/tensor/named_tensor.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

// How loops over all parameters are cut up for threads. Private to base/training.
namespace ddpm_eval::training::detail {

/// Elements [begin, end) of one parameter, in storage order.
struct Block {
  size_t tensor;
  int64_t begin;
  int64_t end;
};

inline constexpr int64_t kBlockSize = 32768;
/// Blocks that a thread takes at least; fewer are not worth waking one.
inline constexpr int64_t kBlockGrain = 2;

/// Cuts the parameters for which `use(index)` holds. The cut does not depend on the number of threads, which
/// makes sums over blocks reproducible.
template <class Use>
std::vector<Block> cut_into_blocks(const tensor::NamedTensors& parameters, const Use& use) {
  std::vector<Block> blocks;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!use(i)) {
      continue;
    }
    const int64_t count = parameters[i].tensor.numel();
    for (int64_t begin = 0; begin < count; begin += kBlockSize) {
      blocks.push_back({i, begin, std::min(begin + kBlockSize, count)});
    }
  }
  return blocks;
}

/// Whether the plain-array kernels can walk this tensor: float32 or float64 on the CPU, without gaps, in any
/// order of dimensions.
inline bool is_plain(const at::Tensor& tensor) {
  return tensor.device().is_cpu() && tensor.is_non_overlapping_and_dense() &&
         (tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kDouble);
}

/// Whether equal positions in storage are equal elements. Strides of dimensions of size one mean nothing.
inline bool same_storage_order(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes() || a.scalar_type() != b.scalar_type() || a.device() != b.device()) {
    return false;
  }
  for (int64_t d = 0; d < a.dim(); ++d) {
    if (a.size(d) > 1 && a.stride(d) != b.stride(d)) {
      return false;
    }
  }
  return true;
}

}  // namespace ddpm_eval::training::detail
