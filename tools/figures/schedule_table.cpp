// Prints what the manual's figures of schedules and losses show, a row a step, of one schedule:
//   schedule_table KIND STEPS
// Columns: t/T, alpha_bar, SNR, and per unit of the mean squared error of eps, of which L_simple is 1
// everywhere: L_{t-1} with sigma^2 = beta_tilde (nan at t = 0), with sigma^2 = beta, the squared error of
// mu_tilde, of x_0, of v.
#include "base/core/error.h"
#include "ddpm/process.h"
#include "ddpm/schedule.h"

#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/format.h>

int main(int argc, char** argv) {
  using namespace ddpm_eval;
  ddpm::ScheduleConfig config;
  const char* end = argc == 3 ? argv[2] + std::strlen(argv[2]) : nullptr;
  if (argc != 3 || std::from_chars(argv[2], end, config.steps).ptr != end) {
    fmt::print(stderr, "usage: schedule_table KIND STEPS\n");
    return 2;
  }
  config.kind = argv[1];
  try {
    const ddpm::DiffusionProcess process(ddpm::make_betas(config));
    const auto& tables = process.tables();
    for (size_t t = 0; t < tables.beta.size(); ++t) {
      const double beta = tables.beta[t], noise = tables.one_minus_alpha_bar[t];
      const double snr = tables.alpha_bar[t] / noise;
      const double mu = tables.posterior_x_0[t] * tables.posterior_x_0[t] / snr;
      const double tilde = t > 0 ? tables.beta_tilde[t] : std::numeric_limits<double>::quiet_NaN();
      fmt::print("{} {} {} {} {} {} {} {}\n",
                 (static_cast<double>(t) + 1) / static_cast<double>(config.steps), tables.alpha_bar[t], snr,
                 mu / (2 * tilde), mu / (2 * beta), mu, 1 / snr, 1 / tables.alpha_bar[t]);
    }
  } catch (const core::Error& error) {
    fmt::print(stderr, "schedule_table: {}\n", error.what());
    return static_cast<int>(error.code());
  }
  return 0;
}
