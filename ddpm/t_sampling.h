#pragma once

#include "base/tensor/named_tensor.h"

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

// Which t a training step visits.
namespace ddpm_eval::ddpm {

enum class TSampling {
  kUniform,     ///< independent draws
  kAntithetic,  ///< pairs t and T - 1 - t: the same expectation with less noise
  kImportance,  ///< in proportion to the root of the mean squared loss at t (Nichol & Dhariwal 2021,
                ///< section 3.3)
};

/// The t of one batch, and what each example's loss is multiplied with to keep the expectation that of
/// uniform t.
struct TDraw {
  at::Tensor t;       ///< int64 [n]
  at::Tensor weight;  ///< float64 [n]: 1 / (T p_t)
};

/// Draws are functions of (seed, step), and for kImportance of the losses seen: the last 10 at every t. Until
/// each t has ten, draws are uniform; then p_t = 0.999 w_t / sum w + 0.001 / T, as in improved-diffusion.
class TSampler {
 public:
  TSampler(TSampling kind, int64_t chain_steps, uint64_t seed);

  TDraw draw(int64_t step, int64_t count) const;

  /// Takes the unweighted losses, float64 [n], of a draw. Does nothing unless kImportance.
  void record(const at::Tensor& t, const at::Tensor& losses);

  /// "objective.t_losses" (float64 [T, 10]) and "objective.t_counts" (int64 [T]) for kImportance, else
  /// nothing. They belong into the checkpoint: a resumed run needs them.
  tensor::NamedTensors buffers() const;

  /// p_t for every t.
  std::vector<double> probabilities() const;

 private:
  TSampling kind_;
  int64_t chain_steps_;
  uint64_t seed_;
  at::Tensor losses_;  ///< a row a t, oldest first
  at::Tensor counts_;  ///< losses in each row
};

}  // namespace ddpm_eval::ddpm
