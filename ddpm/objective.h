#pragma once

#include "base/training/batches.h"
#include "base/training/task.h"
#include "ddpm/bound.h"
#include "ddpm/network.h"
#include "ddpm/objective_config.h"
#include "ddpm/process.h"
#include "ddpm/t_sampling.h"

#include <cstdint>
#include <optional>
#include <string>

namespace ddpm_eval::ddpm {

struct ObjectiveOptions {
  int64_t batch_size = 128;
  bool flip = true;  ///< mirror each image left to right with probability 1/2
  uint64_t seed = 0;
  tensor::Precision precision = tensor::Precision::kFloat32;  ///< of the network; the loss is float32
  ObjectiveConfig objective{};
};

/// The loss of each example, [n]: what `objective` says, mean over dimensions, without the weight of its t.
/// `output` is the network's at (x_t, t). Terms of the bound are in the decoder's unit; x_0 is not clipped.
at::Tensor example_losses(const ObjectiveConfig& objective, const DiffusionProcess& process, Decoder decoder,
                          const at::Tensor& x_0, const at::Tensor& x_t, const at::Tensor& t,
                          const at::Tensor& eps, const at::Tensor& output);

/// The expected loss, over x_0 of mean square `data_mean_square` per dimension and uniform t, of a network
/// that answers 0 whatever it is asked: what any network should soon beat. 1 for eps. Empty for losses other
/// than simple, whose bound such an answer has no sensible value of.
std::optional<double> loss_of_zero(const ObjectiveConfig& objective, const DiffusionProcess& process,
                                   double data_mean_square);

/// Training of a diffusion network. The data set stays in memory; its order, the flips, t and eps are
/// functions of (seed, step, slot in the batch), t also of the losses seen if its sampling is by importance.
class DdpmTask final : public training::TrainTask {
 public:
  /// `data` is uint8 [n, C, H, W], scaled to [-1, 1] batch by batch, or float32 [n, D], taken as it is.
  /// `buffers` go into the checkpoint, before the task's own. `network` must outlive the task. Throws
  /// UsageError for a bad option, flips of points, or a process that does not suit the objective; DataError
  /// if there is no data.
  DdpmTask(const DiffusionNetwork& network, DiffusionProcess process, at::Tensor data,
           const ObjectiveOptions& options, tensor::NamedTensors buffers = {});

  tensor::NamedTensors parameters() override { return network_.parameters(); }
  tensor::NamedTensors buffers() override;
  int64_t batch_size() const override { return options_.batch_size; }

  /// All that a row depends on is a function of its place in the whole batch, and t is drawn before and the
  /// losses are taken in after all of its parts.
  bool can_be_split() const override { return true; }
  at::Tensor part_of_loss(int64_t step, training::Rows rows) override;
  void end_of_parts(int64_t step, training::Rows own, training::StepLog& log) override;

  /// Logs "loss_q0".."loss_q3": the unweighted loss over the examples whose t is in that quarter of the chain
  /// (absent if there were none). Of eps, small t is the hardest to predict: q0 is the largest of a healthy
  /// run.
  at::Tensor loss(int64_t step, training::StepLog& log) override;

  /// What step `step` trains on.
  struct Batch {
    at::Tensor x_0;     ///< float32
    at::Tensor t;       ///< int64 [batch_size], on the CPU
    at::Tensor eps;     ///< as x_0
    at::Tensor weight;  ///< float64 [batch_size], of each example's loss: see TDraw
  };
  Batch batch(int64_t step);

 private:
  /// What the rows of a step have in common.
  struct Plan {
    int64_t step = -1;
    at::Tensor indices;  ///< int64 [batch_size] into the data
    at::Tensor flips;    ///< bool [batch_size]; undefined without flips
    TDraw draw;
    at::Tensor losses;  ///< float64 [batch_size], unweighted, of the rows done
    training::Rows done;
  };
  Plan plan(int64_t step);
  Batch rows_of(const Plan& plan, training::Rows rows) const;

  const DiffusionNetwork& network_;
  DiffusionProcess process_;
  at::Tensor data_;
  ObjectiveOptions options_;
  Decoder decoder_;
  tensor::NamedTensors buffers_;
  training::BatchOrder order_;
  TSampler t_sampler_;
  Plan plan_;  ///< of the step that is being worked on
};

}  // namespace ddpm_eval::ddpm
