#pragma once

#include "ddpm/network.h"
#include "ddpm/sampler.h"

#include <functional>
#include <vector>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::ddpm {

/// What sampling is a function of, besides the indices.
struct SamplingModel {
  const DiffusionNetwork& network;
  const DiffusionProcess& process;  ///< in which the network was trained
  Parameterisation parameterisation;
};

/// One micro-batch on its way from x_T to x_0.
class Chain {
 public:
  /// Starts from x_T of the samples `indices`. `part` is the sub-chain that is visited. All must outlive the
  /// chain.
  Chain(const SamplingModel& model, const DiffusionProcess& part, const SampleOptions& options,
        std::vector<int64_t> indices, at::IntArrayRef row_shape);

  /// Starts from `x` [indices.size(), ...], x_t for the last t of `part`.
  Chain(const SamplingModel& model, const DiffusionProcess& part, const SampleOptions& options,
        std::vector<int64_t> indices, const at::Tensor& x);

  int64_t steps() const { return part_.steps(); }

  /// x_T, the start.
  const at::Tensor& x() const { return x_; }

  /// Replaces x_i by x_{i-1}; to be called for i = steps() - 1 .. 0. Returns the estimate of x_0 that was
  /// used.
  at::Tensor step(int64_t i);

 private:
  struct Estimate {
    at::Tensor raw;     ///< x_0 as the network says
    at::Tensor x_0;     ///< limited as the options say
    at::Tensor output;  ///< the network's, whole
  };
  Estimate estimate(int64_t i) const;
  at::Tensor limited(const at::Tensor& x_0) const;
  at::Tensor noise(int64_t i) const;
  at::Tensor all_at(int64_t t) const;
  at::Tensor ancestral(const Estimate& estimate, int64_t i) const;
  at::Tensor ancestral_log_variance(const at::Tensor& output, int64_t i) const;
  at::Tensor ddim(const Estimate& estimate, int64_t i) const;
  at::Tensor dpm_solver(const Estimate& estimate, int64_t i);

  const SamplingModel& model_;
  const DiffusionProcess& part_;
  const SampleOptions& options_;
  std::vector<int64_t> indices_;
  at::Tensor x_;
  at::Tensor previous_x_0_;  ///< of the step before, for the two-step solver
  double previous_h_ = 0;    ///< its step in log(alpha / sigma)
};

}  // namespace ddpm_eval::ddpm
