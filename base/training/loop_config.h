#pragma once

#include "base/core/config.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ddpm_eval::training {

/// The training loop's settings; the defaults are those of the DDPM paper for CIFAR-10 (Ho et al. 2020,
/// appendix B, and the official code for the warm-up).
struct LoopConfig {
  int64_t steps = 800000;                ///< optimiser steps of the whole run, resumed parts included
  double learning_rate = 2e-4;           ///< Adam's, after warm-up
  int64_t warmup_steps = 5000;           ///< linear rise over so many steps, from 0 at step 0. 0: none
  std::string lr_schedule = "constant";  ///< constant, or cosine: down to 0 over `steps`
  double beta1 = 0.9;                    ///< Adam's, in [0, 1)
  double beta2 = 0.999;                  ///< Adam's, in [0, 1)
  double eps = 1e-8;                     ///< Adam's, outside the root
  double weight_decay = 0;               ///< decoupled (AdamW). 0: none
  double clip_norm = 1.0;                ///< largest L2 norm of the whole gradient. 0: no clipping
  double ema_decay = 0.9999;             ///< of the averaged weights, in [0, 1). 0: no averaging
  bool ema_ramp = false;                 ///< decay min(ema_decay, (1+n)/(10+n)) at update n, for short runs
  int64_t accumulate = 1;           ///< parts that a batch is worked on in, to save memory; must divide it
  double diverged_factor = 0;       ///< end the run as diverged where the loss stays above so many times
                                    ///< its running median (LossWatch). 0: only where it is not finite
  int64_t diverged_steps = 100;     ///< for so many steps in a row
  int64_t log_every = 100;          ///< steps per log line, each the mean over its steps. 0: no log
  int64_t checkpoint_every = 5000;  ///< steps between checkpoints. 0: only at the end or when interrupted
  double time_limit_s = 0;          ///< stop cleanly after so many seconds in this process, at the end of a
                                    ///< step; how many steps fit depends on the machine. 0: no limit

  void fields(core::ConfigVisitor& v);

  /// Throws UsageError naming the key. `section` is where these fields are in the file ("train"), for the
  /// message.
  void validate(std::string_view section = "") const;

  /// Throws UsageError unless `accumulate` parts of one size make up the batch.
  void require_divides(int64_t batch_size, std::string_view section = "") const;

  /// Keys, below `section`, that may differ when a run is resumed: those that do not change the steps
  /// already done. `steps` is one of them unless the schedule depends on it.
  std::vector<std::string> resumable_keys(std::string_view section = "") const;
};

/// The rate of `step` (0-based): learning_rate * min(step / warmup_steps, 1), as the official code, so the
/// very first step moves nothing; times (1 + cos(pi step / steps)) / 2 for the cosine schedule.
double learning_rate_at(const LoopConfig& config, int64_t step);

}  // namespace ddpm_eval::training
