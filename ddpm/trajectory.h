#pragma once

#include "ddpm/chain.h"
#include "ddpm/sampler.h"

#include <cstdint>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

// The way of data into noise and back, kept at chosen moments. A level is the t of the paper: how many steps
// of noise lie on the data, 0 for the data themselves and T for x_T (the code's t plus one).
namespace ddpm_eval::ddpm {

/// The sub-chain that sampling with `options` visits. Throws UsageError unless the number of steps fits.
DiffusionProcess visited_chain(const DiffusionProcess& process, const SampleOptions& options);

enum class Shown {
  kState,     ///< moments 0..S of a chain of S steps: x after so many steps; 0 is x_T, S the sample
  kEstimate,  ///< moments 0..S-1: the estimate of x_0 that the step from there takes, limited as `clip` says
};

/// The level of x at a moment of `part`.
int64_t level_at(const DiffusionProcess& part, int64_t moment);

/// Samples `indices` on their way: float32 [moments, indices, row_shape...]. The last state is what sample()
/// gives, to the bit, and so are seeds, indices, micro-batches and what is thrown. `moments` ascend.
at::Tensor trajectory(const SamplingModel& model, const SampleOptions& options,
                      std::span<const int64_t> indices, at::IntArrayRef row_shape, Shown shown,
                      std::span<const int64_t> moments, const SampleProgress& progress = {});

/// x_0 on its way into noise: float32 [levels, n, ...] of float32 x_0 [n, ...], one draw of the whole chain
/// x_t = sqrt(1 - beta_t) x_{t-1} + sqrt(beta_t) z_t (eq. 2), so that each x_t is a draw of q(x_t | x_0) and
/// neighbouring moments belong together. z_t of row i depends on (seed, i, t) alone. `levels` ascend within
/// 0..T.
at::Tensor forward_path(const DiffusionProcess& process, const at::Tensor& x_0,
                        std::span<const int64_t> levels, uint64_t seed);

/// The part of that sub-chain from `level`, within 1..T, on down: `level` itself and what lies below.
DiffusionProcess chain_below(const DiffusionProcess& process, const SampleOptions& options, int64_t level);

/// Between two data (Ho et al. 2020, section 4.4): both are noised to `level` with the same eps, mixed as (1
/// - lambda) x_t + lambda x'_t, and the mixtures are sampled from there on, all with the same noise. float32
/// [lambdas, ...] of float32 `ends` [2, ...]. Level 0 mixes the data themselves. With fewer than all steps
/// the chain visits chain_below(level). Mixtures go through the network in micro-batches,
/// the last one padded, so that one does not depend on how many there are. Throws UsageError for a level
/// outside 0..T, and as sample().
at::Tensor interpolate(const SamplingModel& model, const SampleOptions& options, const at::Tensor& ends,
                       int64_t level, std::span<const double> lambdas, const SampleProgress& progress = {});

}  // namespace ddpm_eval::ddpm
