#pragma once

#include "ddpm/bound.h"
#include "ddpm/chain.h"

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

// The variational bound on -log p(x_0) of data, term by term: calc_bpd_loop of the official code.
namespace ddpm_eval::ddpm {

struct LikelihoodOptions {
  int64_t strata = 0;  ///< 0: every t. Else t = 0 and strata - 1 more, one drawn from each part of the chain
  int64_t micro_batch = 50;  ///< examples that go through the network together; a part of the last bits
  bool clip = true;          ///< x_0 to [-1, 1], as the official code; for images
  uint64_t seed = 0;

  /// Throws UsageError unless strata is 0 or within 2..chain_steps and micro_batch is positive.
  void validate(int64_t chain_steps) const;
};

/// The parts of the chain from which one t each is drawn: t = 0 alone, then even parts of 1..T-1. With strata
/// = 0 every part is a single t.
struct Stratum {
  int64_t first = 0;
  int64_t count = 0;
};
std::vector<Stratum> strata_of(int64_t chain_steps, int64_t strata);

/// Of n examples; K strata. Terms are in the decoder's unit per dimension.
struct LikelihoodTerms {
  at::Tensor prior;    ///< float64 [n]: L_T
  at::Tensor terms;    ///< float64 [n, K]: L_{t-1}, or L_0 in column 0, at the t drawn
  at::Tensor x_0_mse;  ///< float64 [n, K]: mean squared error of the estimate of x_0 there
};

/// One micro-batch on its way through the strata: examples `first_index`, `first_index` + 1, ... Example i's
/// t and noise depend on (seed, i) alone; a short micro-batch is padded, so that results do not depend on how
/// many examples there are. Terms are computed in float64 from the network's float32.
class LikelihoodBatch {
 public:
  /// `x_0` float32 [n, ...], n at most options.micro_batch. All must outlive the batch.
  LikelihoodBatch(const SamplingModel& model, Decoder decoder, const LikelihoodOptions& options,
                  const at::Tensor& x_0, int64_t first_index);

  bool done() const { return terms_.size() == strata_.size(); }

  /// One pass through the network: the next stratum. Throws NotFiniteError if a term is not finite.
  void step();

  /// Of the strata done.
  LikelihoodTerms terms() const;

  /// "partial.terms" and "partial.x_0_mse", float64 [n, strata done].
  tensor::NamedTensors state() const;
  /// Goes on from state(). Throws DataError naming `origin` if it does not fit.
  void restore(const tensor::NamedTensors& state, const std::string& origin);

 private:
  const SamplingModel& model_;
  Decoder decoder_;
  const LikelihoodOptions& options_;
  int64_t count_;
  std::vector<Stratum> strata_;
  std::vector<int64_t> indices_;
  at::Tensor x_0_;  ///< padded
  std::vector<at::Tensor> terms_, x_0_mse_;
};

/// A mean and its standard error.
struct MeanError {
  double mean = 0;
  double error = 0;  ///< sample standard deviation / sqrt(n); 0 for a single value
};

/// One stratum of the curve over t.
struct CurvePoint {
  Stratum stratum;
  MeanError term;  ///< of one step in it
  double x_0_mse = 0;
};

/// The bound and its parts, each the mean over examples with its error; total = regularisation + denoising +
/// reconstruction.
struct BoundReport {
  int64_t count = 0;
  MeanError total;
  MeanError regularisation;  ///< L_T
  MeanError denoising;       ///< L_1 + ... + L_{T-1}
  MeanError reconstruction;  ///< L_0
  std::vector<CurvePoint> curve;
};

/// Collects terms. Its state is what a resumed evaluation needs.
class BoundSums {
 public:
  explicit BoundSums(std::vector<Stratum> strata);

  void add(const LikelihoodTerms& terms);
  int64_t count() const;

  /// Throws LogicError if nothing was added.
  BoundReport report() const;

  /// "examples" float64 [n, 3] (L_T, denoising, L_0) and "curve" float64 [3, K] (sums of the terms, of their
  /// squares and of x_0_mse).
  tensor::NamedTensors state() const;
  /// Throws DataError naming `origin` if they do not fit.
  void restore(const tensor::NamedTensors& state, const std::string& origin);

 private:
  std::vector<Stratum> strata_;
  std::vector<at::Tensor> examples_;
  at::Tensor curve_;
};

/// A row of progressive coding (Ho et al. 2020, table 4): after `steps` of the reverse process.
struct CodingPoint {
  int64_t steps = 0;
  double rate = 0;     ///< L_T plus the terms of the steps sent, in the decoder's unit per dimension
  double x_0_mse = 0;  ///< of the estimate that the receiver can make
};

/// Tenths of the chain, from all of it down. Empty unless the curve has every t.
std::vector<CodingPoint> progressive_coding(const BoundReport& report);

}  // namespace ddpm_eval::ddpm
