#include "ddpm/process.h"

#include "base/core/error.h"
#include "ddpm/table_values.h"

#include <cmath>
#include <numeric>

#include <torch/types.h>

namespace ddpm_eval::ddpm {
namespace {

constexpr double kNegligiblePriorMean = 0.05;

ProcessTables make_tables(std::vector<double> betas) {
  ProcessTables tables;
  const size_t steps = betas.size();
  double alpha_bar = 1;
  double noise = 0;  // 1 - alpha_bar without cancellation: n' = n (1 - beta) + beta
  for (size_t t = 0; t < steps; ++t) {
    const double beta = betas[t];
    const double noise_prev = noise;
    tables.alpha_bar_prev.push_back(alpha_bar);
    noise = noise * (1 - beta) + beta;
    tables.posterior_x_0.push_back(beta * std::sqrt(alpha_bar) / noise);
    tables.posterior_x_t.push_back(noise_prev * std::sqrt(1 - beta) / noise);
    tables.beta_tilde.push_back(beta * noise_prev / noise);
    alpha_bar *= 1 - beta;
    tables.alpha_bar.push_back(alpha_bar);
    tables.one_minus_alpha_bar.push_back(noise);
  }
  tables.beta = std::move(betas);
  return tables;
}

std::vector<double> roots_of(const std::vector<double>& table) {
  std::vector<double> roots;
  for (const double value : table) {
    roots.push_back(std::sqrt(value));
  }
  return roots;
}

}  // namespace

DiffusionProcess::DiffusionProcess(std::vector<double> betas) : DiffusionProcess(std::move(betas), {}) {
  original_t_.resize(tables_.beta.size());
  std::iota(original_t_.begin(), original_t_.end(), int64_t{0});
}

DiffusionProcess::DiffusionProcess(std::vector<double> betas, std::vector<int64_t> original_t)
    : original_t_(std::move(original_t)) {
  if (betas.empty()) {
    throw core::UsageError("the process needs at least one step");
  }
  for (const double beta : betas) {
    if (!(beta > 0 && beta <= 1)) {
      throw core::UsageError("beta = {} is not within (0, 1]", beta);
    }
  }
  tables_ = make_tables(std::move(betas));
  root_alpha_bar_ = roots_of(tables_.alpha_bar);
  root_one_minus_alpha_bar_ = roots_of(tables_.one_minus_alpha_bar);
}

at::Tensor DiffusionProcess::q_sample(const at::Tensor& x_0, const at::Tensor& t,
                                      const at::Tensor& eps) const {
  return values_at(root_alpha_bar_, t, x_0) * x_0 + values_at(root_one_minus_alpha_bar_, t, x_0) * eps;
}

at::Tensor DiffusionProcess::posterior_mean(const at::Tensor& x_0, const at::Tensor& x_t,
                                            const at::Tensor& t) const {
  return values_at(tables_.posterior_x_0, t, x_t) * x_0 + values_at(tables_.posterior_x_t, t, x_t) * x_t;
}

at::Tensor DiffusionProcess::x_0_from_eps(const at::Tensor& x_t, const at::Tensor& t,
                                          const at::Tensor& eps) const {
  require_eps_prediction();
  return (x_t - values_at(root_one_minus_alpha_bar_, t, x_t) * eps) / values_at(root_alpha_bar_, t, x_t);
}

at::Tensor DiffusionProcess::eps_from_x_0(const at::Tensor& x_t, const at::Tensor& t,
                                          const at::Tensor& x_0) const {
  return (x_t - values_at(root_alpha_bar_, t, x_t) * x_0) / values_at(root_one_minus_alpha_bar_, t, x_t);
}

at::Tensor DiffusionProcess::x_0_from_posterior_mean(const at::Tensor& x_t, const at::Tensor& t,
                                                     const at::Tensor& mean) const {
  return (mean - values_at(tables_.posterior_x_t, t, x_t) * x_t) / values_at(tables_.posterior_x_0, t, x_t);
}

at::Tensor DiffusionProcess::v_from(const at::Tensor& x_0, const at::Tensor& t, const at::Tensor& eps) const {
  return values_at(root_alpha_bar_, t, x_0) * eps - values_at(root_one_minus_alpha_bar_, t, x_0) * x_0;
}

at::Tensor DiffusionProcess::x_0_from_v(const at::Tensor& x_t, const at::Tensor& t,
                                        const at::Tensor& v) const {
  return values_at(root_alpha_bar_, t, x_t) * x_t - values_at(root_one_minus_alpha_bar_, t, x_t) * v;
}

std::vector<double> DiffusionProcess::log_variance(Variance variance) const {
  auto values = variance == Variance::kFixedLarge ? tables_.beta : tables_.beta_tilde;
  values[0] = steps() > 1 ? tables_.beta_tilde[1] : tables_.beta[0];
  for (double& value : values) {
    value = std::log(value);
  }
  return values;
}

DiffusionProcess DiffusionProcess::sub_chain(std::span<const int64_t> timesteps) const {
  std::vector<double> betas;
  std::vector<int64_t> original;
  double alpha_bar = 1;
  int64_t previous = -1;
  for (const int64_t t : timesteps) {
    if (t <= previous || t >= steps()) {
      throw core::UsageError("a sub-chain's steps must ascend within 0..{}; {} follows {}", steps() - 1, t,
                             previous);
    }
    const auto at = static_cast<size_t>(t);
    // Neighbours keep their beta, so that the whole chain is itself to the last bit.
    betas.push_back(t == previous + 1 ? tables_.beta[at] : 1 - tables_.alpha_bar[at] / alpha_bar);
    original.push_back(original_t(t));
    alpha_bar = tables_.alpha_bar[at];
    previous = t;
  }
  return {std::move(betas), std::move(original)};
}

void DiffusionProcess::require_eps_prediction() const {
  if (tables_.alpha_bar.back() <= 0) {
    throw core::UsageError(
        core::Key{"process.kind"},
        "eps-prediction cannot use this schedule: alpha_bar_T is 0, so x_0 cannot be had from eps at the "
        "last step; choose a schedule whose last beta is below 1 (not 'jsd', and not one that few steps and "
        "process.rescale bring to 1)");
  }
}

std::string prior_mismatch(const DiffusionProcess& process, double data_std) {
  const double alpha_bar = process.tables().alpha_bar.back();
  const double mean_scale = std::sqrt(alpha_bar) * data_std;
  if (mean_scale <= kNegligiblePriorMean) {
    return {};
  }
  return fmt::format(
      "the chain does not end in noise: alpha_bar_T = {:.3g}, so x_T keeps sqrt(alpha_bar_T) * std(x_0) = "
      "{:.3g} * {:.3g} = {:.3g} of the data (negligible up to {}), but sampling starts from N(0, I); train "
      "with more steps, process.rescale = true or a larger beta_end",
      alpha_bar, std::sqrt(alpha_bar), data_std, mean_scale, kNegligiblePriorMean);
}

}  // namespace ddpm_eval::ddpm
