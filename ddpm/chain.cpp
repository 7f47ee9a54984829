#include "ddpm/chain.h"

#include "base/tensor/noise.h"

#include <cmath>

#include <torch/types.h>

namespace ddpm_eval::ddpm {
namespace {

/// log(alpha / sigma), "lambda" in the papers of DPM-Solver; minus infinity where no signal is left.
double log_snr_root(const ProcessTables& tables, size_t i) {
  return 0.5 * (std::log(tables.alpha_bar[i]) - std::log(tables.one_minus_alpha_bar[i]));
}

}  // namespace

Chain::Chain(const SamplingModel& model, const DiffusionProcess& part, const SampleOptions& options,
             std::vector<int64_t> indices, at::IntArrayRef row_shape)
    : Chain(
          model, part, options, indices,
          tensor::normal_rows({options.seed, "sample.x_T"}, indices, 0, row_shape, model.network.device())) {}

Chain::Chain(const SamplingModel& model, const DiffusionProcess& part, const SampleOptions& options,
             std::vector<int64_t> indices, const at::Tensor& x)
    : model_(model),
      part_(part),
      options_(options),
      indices_(std::move(indices)),
      x_(x.to(model.network.device())) {}

at::Tensor Chain::step(int64_t i) {
  const auto now = estimate(i);
  if (i == 0) {
    x_ = now.x_0;  // every sampler: no noise, and all weight on x_0
    return now.x_0;
  }
  switch (options_.sampler) {
    case Sampler::kAncestral:
      x_ = ancestral(now, i);
      break;
    case Sampler::kDdim:
      x_ = ddim(now, i);
      break;
    case Sampler::kDpmSolver:
      x_ = dpm_solver(now, i);
      break;
  }
  return now.x_0;
}

at::Tensor Chain::all_at(int64_t t) const { return torch::full({x_.size(0)}, t, torch::kInt64); }

Chain::Estimate Chain::estimate(int64_t i) const {
  // In the trained chain's terms: alpha_bar is the same in both, but mu_tilde is not.
  const auto t = all_at(part_.original_t(i));
  const auto output = model_.network.forward(x_, t.to(x_.device()));
  const auto raw = x_0_from_output(model_.parameterisation.prediction, model_.process, x_, t,
                                   split_output(model_.parameterisation, output).mean);
  return {raw, limited(raw), output};
}

at::Tensor Chain::limited(const at::Tensor& x_0) const {
  if (!options_.clip) {
    return x_0;
  }
  if (options_.dynamic_threshold == 0) {
    return x_0.clamp(-1, 1);
  }
  const auto largest = torch::quantile(x_0.flatten(1).abs(), options_.dynamic_threshold, 1).clamp_min(1);
  std::vector<int64_t> shape(static_cast<size_t>(x_0.dim()), 1);
  shape[0] = x_0.size(0);
  const auto limit = largest.view(shape);
  return torch::min(torch::max(x_0, -limit), limit) / limit;
}

at::Tensor Chain::noise(int64_t i) const {
  return tensor::normal_rows({options_.seed, "sample.noise"}, indices_, part_.original_t(i),
                             x_.sizes().slice(1), x_.device());
}

at::Tensor Chain::ancestral(const Estimate& estimate, int64_t i) const {
  const bool gives_mean =
      model_.parameterisation.prediction == Prediction::kMuTilde && part_.steps() == model_.process.steps();
  const auto mean = gives_mean ? split_output(model_.parameterisation, estimate.output).mean
                               : part_.posterior_mean(estimate.x_0, x_, all_at(i));
  return mean + (0.5 * ancestral_log_variance(estimate.output, i)).exp() * noise(i);
}

at::Tensor Chain::ancestral_log_variance(const at::Tensor& output, int64_t i) const {
  auto meaning = model_.parameterisation;
  auto mean_half = output;
  if (options_.variance != SampleVariance::kModel) {
    mean_half = split_output(meaning, output).mean;
    meaning.variance = options_.variance == SampleVariance::kFixedLarge ? ModelVariance::kFixedLarge
                                                                        : ModelVariance::kFixedSmall;
  }
  return model_log_variance(meaning, part_, all_at(i), mean_half, x_);
}

at::Tensor Chain::ddim(const Estimate& estimate, int64_t i) const {
  const auto& tables = part_.tables();
  const auto at = static_cast<size_t>(i);
  // eta^2 beta_tilde is eq. 16's sigma^2, and the sub-chain's beta its hat-sigma^2.
  const double variance = options_.eta * options_.eta * tables.beta_tilde[at];
  const double direction = std::sqrt(std::max(0.0, tables.one_minus_alpha_bar[at - 1] - variance));
  const auto eps = model_.process.eps_from_x_0(x_, all_at(part_.original_t(i)),
                                               options_.rederive ? estimate.x_0 : estimate.raw);
  auto next = (estimate.x_0 * std::sqrt(tables.alpha_bar_prev[at])).add_(eps, direction);
  const double added = options_.hat_sigma ? tables.beta[at] : variance;
  return added > 0 ? next.add_(noise(i), std::sqrt(added)) : next;
}

at::Tensor Chain::dpm_solver(const Estimate& estimate, int64_t i) {
  const auto& tables = part_.tables();
  const auto at = static_cast<size_t>(i);
  const double h = log_snr_root(tables, at - 1) - log_snr_root(tables, at);
  auto direction = estimate.x_0;
  if (previous_x_0_.defined()) {
    const double weight = h / (2 * previous_h_);  // 1 / (2 r), 0 after a start without signal
    direction = estimate.x_0 * (1 + weight) - previous_x_0_ * weight;
  }
  previous_x_0_ = estimate.x_0;
  previous_h_ = h;
  const double shrink = std::sqrt(tables.one_minus_alpha_bar[at - 1] / tables.one_minus_alpha_bar[at]);
  return x_ * shrink - direction * (std::sqrt(tables.alpha_bar[at - 1]) * std::expm1(-h));
}

}  // namespace ddpm_eval::ddpm
