#pragma once

#include "ddpm/schedule.h"
#include "tests/support/generators.h"

#include <string>
#include <vector>

namespace ddpm_eval::ddpm {

/// A schedule of 2 to 60 steps with end points of 1e-4 to 0.2: alpha_bar_T is above 1e-6, so that every
/// conversion keeps half its digits at least.
inline ScheduleConfig any_gentle_schedule() {
  ScheduleConfig config;
  config.kind = *rc::gen::element<std::string>("linear", "quad", "sigmoid", "const", "warmup10", "warmup50");
  config.steps = testing::any_integer(2, 60);
  config.beta_start = testing::any_real(1e-4, 0.2);
  config.beta_end = testing::any_real(config.beta_start, 0.2);
  return config;
}

/// Some of 0..steps-1, one at least, ascending.
inline std::vector<int64_t> any_timesteps(int64_t steps) {
  std::vector<int64_t> timesteps;
  for (int64_t t = 0; t < steps; ++t) {
    if (testing::any_integer(0, 2) == 0) {
      timesteps.push_back(t);
    }
  }
  if (timesteps.empty()) {
    timesteps.push_back(testing::any_integer(0, steps - 1));
  }
  return timesteps;
}

}  // namespace ddpm_eval::ddpm
