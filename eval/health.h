#pragma once

#include "base/training/train_log.h"
#include "ddpm/run_config.h"

#include <cstdint>
#include <optional>
#include <string>

namespace ddpm_eval::eval {

/// What tells a healthy run from another: the figures of a log line, held against what is known of the loss.
class Health {
 public:
  /// `loss_of_zero` is ddpm::loss_of_zero() of the training data, if the objective has it.
  Health(const ddpm::RunConfig& config, std::optional<double> loss_of_zero);

  /// For the log: "loss_of_zero" where it is known, and "loss_published" (see below) where it is.
  training::StepLog reference(int64_t step) const;

  /// "step 600/1200: loss 0.0312 (3.1 % of answering 0; quarters 0.08 0.02 0.01 0.004), ...". Where nothing
  /// is known of the loss, beside that of the line before.
  std::string line(const training::LogLine& line);

 private:
  int64_t steps_;
  bool paper_run_;  ///< the loss of such a run has been published
  std::optional<double> loss_of_zero_;
  std::optional<double> loss_before_;
};

/// L_simple of the paper's CIFAR-10 run at `step`, as its re-implementation github.com/tqch/ddpm-torch
/// reports it: 0.0295 at 46,800 steps, 0.028 from 400,000, 0.0277 at 796,000; in between by interpolation
/// over log step. Nothing outside that span.
std::optional<double> published_loss(int64_t step);

/// Whether `config` is that run in all that shapes the loss: data, network, process, objective, batch size,
/// flips, learning rate and its schedule.
bool is_paper_run(const ddpm::RunConfig& config);

}  // namespace ddpm_eval::eval
