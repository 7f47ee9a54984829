#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::ddpm {

/// The variance of the reverse steps, sigma_t^2 in Ho et al. 2020, section 3.2: beta_t ("fixedlarge") or
/// beta_tilde_t ("fixedsmall").
enum class Variance { kFixedLarge, kFixedSmall };

/// Per-step constants, float64, index t = 0..T-1. alpha_bar_t is the product of 1 - beta up to and with t;
/// alpha_bar_prev[0] = 1.
struct ProcessTables {
  std::vector<double> beta;
  std::vector<double> alpha_bar;
  std::vector<double> alpha_bar_prev;
  std::vector<double> one_minus_alpha_bar;  ///< by a recurrence that keeps its precision at small t
  std::vector<double> posterior_x_0;        ///< weight of x_0 in mu_tilde, eq. 7
  std::vector<double> posterior_x_t;        ///< weight of x_t in mu_tilde, eq. 7
  std::vector<double> beta_tilde;           ///< variance of q(x_{t-1} | x_t, x_0), eq. 7; 0 at t = 0
};

/// The forward process q and its posterior. Tensor functions take x of any shape [n, ...] and t int64 [n] in
/// 0..T-1; constants are cast to x's dtype when used.
class DiffusionProcess {
 public:
  /// Throws UsageError if `betas` is empty or has a value outside (0, 1].
  explicit DiffusionProcess(std::vector<double> betas);

  int64_t steps() const { return static_cast<int64_t>(tables_.beta.size()); }
  const ProcessTables& tables() const { return tables_; }

  /// sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps: eq. 4.
  at::Tensor q_sample(const at::Tensor& x_0, const at::Tensor& t, const at::Tensor& eps) const;

  /// mu_tilde_t(x_t, x_0): eq. 7.
  at::Tensor posterior_mean(const at::Tensor& x_0, const at::Tensor& x_t, const at::Tensor& t) const;

  /// (x_t - sqrt(1 - alpha_bar_t) eps) / sqrt(alpha_bar_t): eq. 15. Throws UsageError where alpha_bar_T is 0.
  at::Tensor x_0_from_eps(const at::Tensor& x_t, const at::Tensor& t, const at::Tensor& eps) const;

  /// The eps that turns x_0 into x_t.
  at::Tensor eps_from_x_0(const at::Tensor& x_t, const at::Tensor& t, const at::Tensor& x_0) const;

  /// The x_0 whose mu_tilde_t(x_t, x_0) is `mean`.
  at::Tensor x_0_from_posterior_mean(const at::Tensor& x_t, const at::Tensor& t,
                                     const at::Tensor& mean) const;

  /// v = sqrt(alpha_bar_t) eps - sqrt(1 - alpha_bar_t) x_0, and x_0 from it (Salimans & Ho 2022, section 4).
  at::Tensor v_from(const at::Tensor& x_0, const at::Tensor& t, const at::Tensor& eps) const;
  at::Tensor x_0_from_v(const at::Tensor& x_t, const at::Tensor& t, const at::Tensor& v) const;

  /// log sigma_t^2 as the official code has it: for fixedsmall, log beta_tilde with index 0 taken from index
  /// 1 (beta_tilde_0 is 0); for fixedlarge, log beta with index 0 also log beta_tilde_1, which gives a better
  /// L_0. Index 0 never enters a sample, as the last step adds no noise. A chain of one step has log beta_0.
  std::vector<double> log_variance(Variance variance) const;

  /// The process that visits only `timesteps` of this one (ascending, distinct, within 0..T-1): beta'_i = 1 -
  /// alpha_bar_{tau_i} / alpha_bar_{tau_{i-1}} (Nichol & Dhariwal 2021, eq. 19). Throws UsageError.
  DiffusionProcess sub_chain(std::span<const int64_t> timesteps) const;

  /// The t of the process in which the network was trained; the identity unless this is a sub-chain.
  int64_t original_t(int64_t i) const { return original_t_[static_cast<size_t>(i)]; }

  /// Throws UsageError if x_0 cannot be had from eps at every t, that is where alpha_bar_T is 0 (jsd).
  void require_eps_prediction() const;

 private:
  DiffusionProcess(std::vector<double> betas, std::vector<int64_t> original_t);

  ProcessTables tables_;
  std::vector<double> root_alpha_bar_;
  std::vector<double> root_one_minus_alpha_bar_;
  std::vector<int64_t> original_t_;
};

/// A warning, or nothing: sampling starts from N(0, I), but q(x_T | x_0) has mean sqrt(alpha_bar_T) x_0.
/// `data_std` is the standard deviation of x_0's coordinates. Warns when sqrt(alpha_bar_T) data_std exceeds
/// 0.05: a mean off by so much is 0.00125 nats a dimension away from N(0, 1).
std::string prior_mismatch(const DiffusionProcess& process, double data_std);

}  // namespace ddpm_eval::ddpm
