#pragma once

#include "base/core/config.h"
#include "ddpm/network.h"
#include "ddpm/parameterisation.h"
#include "ddpm/process.h"

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::ddpm {

enum class Sampler {
  kAncestral,  ///< Ho et al. 2020, algorithm 2, with the official code's clipping of x_0
  kDdim,       ///< Song et al. 2021 (DDIM), eq. 12
  kDpmSolver,  ///< DPM-Solver++(2M) (Lu et al. 2022, algorithm 2): two steps, deterministic
};

/// Which steps a shorter chain visits. With T = 1000 and 10 steps: uniform 0, 111, ..., 999; leading 0, 100,
/// ..., 900; trailing 99, 199, ..., 999; quad 0, 9, 39, 88, ..., 800.
enum class Spacing {
  kUniform,   ///< round(i (T - 1) / (S - 1)): both ends (improved-diffusion)
  kLeading,   ///< i floor(T / S): never reaches T - 1 (the DDIM code's "uniform", diffusers' default)
  kTrailing,  ///< round((i + 1) T / S) - 1
  kLinspace,  ///< as uniform, ties to the even neighbour (diffusers)
  kQuad,      ///< floor(linspace(0, sqrt(0.8 T), S)^2): the DDIM paper's for CIFAR-10. Steps that coincide
              ///< are visited once, so that fewer than S may remain
};

/// The variance of the ancestral sampler.
enum class SampleVariance {
  kModel,       ///< the one that the model was trained with
  kFixedLarge,  ///< beta
  kFixedSmall,  ///< beta_tilde
};

/// How samples become 8-bit images.
enum class Rounding {
  kNearest,   ///< to the nearest level, halves up
  kTruncate,  ///< to the level below, as most other tools do: half a grey level darker on average
};

/// Which weights of a run samples are drawn from.
enum class SampleWeights {
  kEma,   ///< their average over training
  kLast,  ///< those of the last step
  kBest,  ///< their average where it scored best while the run was trained
};

/// Of samples or examples that go through a network together: more is a slip, which would ask for all memory.
inline constexpr int64_t kMaxMicroBatch = 1'000'000;

struct SampleOptions {
  Sampler sampler = Sampler::kAncestral;
  int64_t steps = 0;  ///< of the chain's T; 0 means all of them
  Spacing spacing = Spacing::kUniform;
  double eta = 0;          ///< DDIM's noise, in [0, 1]: 0 deterministic, 1 the variance beta_tilde
  bool hat_sigma = false;  ///< DDIM with eta = 1 adds noise of the larger variance 1 - alpha_bar /
                           ///< alpha_bar_prev instead (the DDIM paper's sigma hat)
  SampleVariance variance = SampleVariance::kModel;
  bool clip = true;              ///< x_0 to [-1, 1] at every step: for images, not for points in the plane
  double dynamic_threshold = 0;  ///< with clip: the quantile of |x_0| that a sample is divided by where it
                                 ///< exceeds 1 (Saharia et al. 2022; 0.995 there). 0: none
  bool rederive =
      true;  ///< DDIM's eps is had anew from the limited x_0 (improved-diffusion; not in DDIM's own code)
  Rounding rounding = Rounding::kNearest;  ///< of images; nothing to points
  SampleWeights weights = SampleWeights::kEma;
  tensor::Precision precision = tensor::Precision::kFloat32;  ///< of the network; the rest is float32
  int64_t micro_batch =
      50;  ///< samples that go through the network together; a part of the result's last bits
  uint64_t seed = 0;

  /// All but the seed, which is no part of a configuration.
  void fields(core::ConfigVisitor& v);

  /// Throws UsageError naming the key, for a chain of `chain_steps` and a model of this meaning.
  void validate(int64_t chain_steps, const Parameterisation& parameterisation) const;
};

/// The steps that a chain of `steps` out of `chain_steps` visits, ascending. Throws UsageError unless 1 <=
/// steps <= chain_steps.
std::vector<int64_t> spaced_steps(Spacing spacing, int64_t chain_steps, int64_t steps);

/// Called after every pass of a micro-batch through the network. May throw to stop.
using SampleProgress = std::function<void(int64_t passes_done, int64_t passes_total)>;

/// Samples `indices` (any order, each >= 0) of an endless sequence: float32 [indices.size(), row_shape...] in
/// the units that the network was trained in.
///
/// Sample i is a function of (network, process, options, i): x_T and the noise of step t are drawn from
/// streams keyed by (seed, i, t), and the network always sees micro-batch floor(i / micro_batch) whole, with
/// sample i in the same row. So any split of the indices gives the same bits, for a fixed number of threads;
/// splits at multiples of micro_batch waste no work.
///
/// Ancestral: x_0 is estimated, clipped, and mu_tilde(x_t, x_0) plus sigma_t z is the next x; no noise at the
/// last step. A network that predicts mu_tilde gives the mean itself, on the full chain, and is not clipped.
/// On a sub-chain the process has its own betas (see DiffusionProcess::sub_chain). DDIM: with clipping, eps
/// is derived anew from the clipped x_0, as improved-diffusion does; with eta = 1 on the full chain it is
/// then the ancestral sampler with fixedsmall variance, to rounding.
///
/// Throws UsageError for bad options and NotFiniteError if the network gives a non-finite sample.
at::Tensor sample(const DiffusionNetwork& network, const DiffusionProcess& process,
                  const Parameterisation& parameterisation, const SampleOptions& options,
                  std::span<const int64_t> indices, at::IntArrayRef row_shape,
                  const SampleProgress& progress = {});

/// [-1, 1] float to uint8: clamped, (x + 1) 127.5 in float64, then rounded. The one place where 8-bit images
/// are made from samples.
at::Tensor to_u8(const at::Tensor& images_pm1, Rounding rounding = Rounding::kNearest);

/// uint8 to float32 [-1, 1]: x / 127.5 - 1. to_u8 to the nearest is its inverse on 0..255.
at::Tensor to_pm1(const at::Tensor& images_u8);

}  // namespace ddpm_eval::ddpm
