#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

// The pass of a gated network as one step of the graph. Private to the network and its tests.
namespace ddpm_eval::ddpm {

/// x -> softplus((x weight^T + bias) gates[t]).
struct GatedLayer {
  at::Tensor weight;  ///< [out, in]
  at::Tensor bias;    ///< [out]
  at::Tensor gates;   ///< [steps, out]
};

/// The last map, x -> x weight^T + bias, which has no gates.
struct OutputLayer {
  at::Tensor weight;
  at::Tensor bias;
};

/// x [n, dimensions] through `layers` and `out`; t int64 [n], each within the tables of gates. Float32 on the
/// CPU is one step of the graph: networks of this kind are so small that a graph of operators takes longer
/// than the arithmetic. Anything else goes through LibTorch's operators. Differentiable once, and the
/// parameters must not change between the passes. Throws LogicError for a t out of range.
at::Tensor gated_pass(const std::vector<GatedLayer>& layers, const OutputLayer& out, const at::Tensor& x,
                      const at::Tensor& t);

}  // namespace ddpm_eval::ddpm
