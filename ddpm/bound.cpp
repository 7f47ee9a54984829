#include "ddpm/bound.h"

#include "ddpm/table_values.h"

#include <cmath>
#include <numbers>
#include <numeric>

#include <torch/types.h>

namespace ddpm_eval::ddpm {
namespace {

constexpr double kHalfBin = 1.0 / 255;
constexpr double kLeastProbability = 1e-12;
/// Beyond these lie the outermost bins' centres -1 and 1 alone.
constexpr double kOutermost = 0.999;

/// Far beyond where the distribution function is 0 or 1 to the last bit; its cube and gradients stay finite.
constexpr double kFarAway = 40;

/// The normal distribution function by Page's (1977) tanh form.
at::Tensor normal_cdf(const at::Tensor& argument) {
  const double slope = std::sqrt(2 / std::numbers::pi);
  const auto z = argument.clamp(-kFarAway, kFarAway);
  return 0.5 * (1 + (slope * (z + 0.044715 * z.pow(3))).tanh());
}

at::Tensor floored_log(const at::Tensor& probability) {
  return probability.clamp_min(kLeastProbability).log();
}

at::Tensor mean_over_dimensions(const at::Tensor& values) { return values.flatten(1).mean(1); }

double per_unit(Decoder decoder) { return decoder == Decoder::kDiscretised ? 1 / std::numbers::ln2 : 1; }

}  // namespace

at::Tensor normal_kl(const at::Tensor& mean_1, const at::Tensor& log_variance_1, const at::Tensor& mean_2,
                     const at::Tensor& log_variance_2) {
  return 0.5 * (-1 + log_variance_2 - log_variance_1 + (log_variance_1 - log_variance_2).exp() +
                (mean_1 - mean_2).pow(2) * (-log_variance_2).exp());
}

at::Tensor discretised_log_likelihood(const at::Tensor& x, const at::Tensor& mean,
                                      const at::Tensor& log_variance) {
  const auto inverse_std = (-0.5 * log_variance).exp();
  const auto centred = x - mean;
  const auto cdf_upper = normal_cdf((centred + kHalfBin) * inverse_std);
  const auto cdf_lower = normal_cdf((centred - kHalfBin) * inverse_std);
  return torch::where(
      x < -kOutermost, floored_log(cdf_upper),
      torch::where(x > kOutermost, floored_log(1 - cdf_lower), floored_log(cdf_upper - cdf_lower)));
}

at::Tensor gaussian_log_density(const at::Tensor& x, const at::Tensor& mean, const at::Tensor& log_variance) {
  return -0.5 * (std::log(2 * std::numbers::pi) + log_variance + (x - mean).pow(2) * (-log_variance).exp());
}

at::Tensor bound_terms(const DiffusionProcess& process, Decoder decoder, const at::Tensor& x_0,
                       const at::Tensor& x_t, const at::Tensor& t, const ReverseStep& step) {
  // Every row goes through its own branch alone: in the other its gradient could be anything, NaN as well.
  const auto is_first = t.to(x_0.device()).eq(0);
  const auto first = is_first.nonzero().squeeze(1);
  const auto later = is_first.logical_not().nonzero().squeeze(1);
  const auto rows = [&](const at::Tensor& values, const at::Tensor& which) {
    return values.expand_as(x_t).index_select(0, which);
  };
  auto terms = torch::zeros({x_0.size(0)}, step.mean.options());
  if (later.numel() > 0) {
    const auto log_beta_tilde = values_at(process.log_variance(Variance::kFixedSmall), t, x_t);
    const auto kl = normal_kl(rows(process.posterior_mean(x_0, x_t, t), later), rows(log_beta_tilde, later),
                              rows(step.mean, later), rows(step.log_variance, later));
    terms = terms.index_copy(0, later, mean_over_dimensions(kl));
  }
  if (first.numel() > 0) {
    const auto log_p = decoder == Decoder::kDiscretised ? discretised_log_likelihood : gaussian_log_density;
    const auto log_likelihood =
        log_p(rows(x_0, first), rows(step.mean, first), rows(step.log_variance, first));
    terms = terms.index_copy(0, first, -mean_over_dimensions(log_likelihood));
  }
  return terms * per_unit(decoder);
}

at::Tensor prior_terms(const DiffusionProcess& process, Decoder decoder, const at::Tensor& x_0) {
  const auto& tables = process.tables();
  const double noise = tables.one_minus_alpha_bar.back();
  const auto kl = 0.5 * (-1 - std::log(noise) + noise + tables.alpha_bar.back() * x_0.pow(2));
  return mean_over_dimensions(kl) * per_unit(decoder);
}

}  // namespace ddpm_eval::ddpm
