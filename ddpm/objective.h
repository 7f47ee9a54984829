#pragma once

#include "base/training/batches.h"
#include "base/training/task.h"
#include "ddpm/network.h"
#include "ddpm/prediction.h"
#include "ddpm/process.h"

#include <cstdint>
#include <string>

namespace ddpm_eval::ddpm {

struct ObjectiveOptions {
  int64_t batch_size = 128;
  bool flip = true;  ///< mirror each image left to right with probability 1/2
  uint64_t seed = 0;
  Prediction prediction = Prediction::kEps;
};

/// L_simple of Ho et al. 2020, eq. 14: the mean over batch and dimensions of ||eps - eps_theta(x_t, t)||^2,
/// with t uniform. The data set stays in memory; its order, the flips, t and eps are functions of (seed,
/// step, slot in the batch).
class DdpmTask final : public training::TrainTask {
 public:
  /// `data` is uint8 [n, C, H, W], scaled to [-1, 1] batch by batch, or float32 [n, D], taken as it is.
  /// `buffers` go into the checkpoint unchanged. `network` must outlive the task. Throws UsageError for a bad
  /// option, flips of points, or a process that does not suit the prediction; DataError if there is no data.
  DdpmTask(const DiffusionNetwork& network, DiffusionProcess process, at::Tensor data,
           const ObjectiveOptions& options, tensor::NamedTensors buffers = {});

  tensor::NamedTensors parameters() override { return network_.parameters(); }
  tensor::NamedTensors buffers() override { return buffers_; }
  int64_t batch_size() const override { return options_.batch_size; }

  /// Logs "loss_q0".."loss_q3": the loss over the examples whose t is in that quarter of the chain (absent if
  /// there were none). Small t is hard to predict: q0 is the largest of a healthy run.
  at::Tensor loss(int64_t step, training::StepLog& log) override;

  /// What step `step` trains on.
  struct Batch {
    at::Tensor x_0;  ///< float32
    at::Tensor t;    ///< int64 [batch_size], on the CPU
    at::Tensor eps;  ///< as x_0
  };
  Batch batch(int64_t step);

 private:
  const DiffusionNetwork& network_;
  DiffusionProcess process_;
  at::Tensor data_;
  ObjectiveOptions options_;
  tensor::NamedTensors buffers_;
  training::BatchOrder order_;
};

}  // namespace ddpm_eval::ddpm
