#pragma once

#include "base/tensor/named_tensor.h"
#include "base/training/checkpoint.h"
#include "ddpm/network.h"
#include "ddpm/objective.h"
#include "ddpm/run_config.h"

#include <memory>
#include <span>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::ddpm {

/// A network with what it takes to sample from it in the data's own units: a checkpoint of it is complete.
struct Model {
  std::unique_ptr<DiffusionNetwork> network;
  DiffusionProcess process;
  Parameterisation parameterisation;  ///< what the network's output means
  std::vector<int64_t> row_shape;     ///< of one datum: {C, H, W} or {D}
  at::Tensor mean;                    ///< float32 [D] of the points' coordinates; undefined for images
  at::Tensor std;                     ///< float32 [D]; undefined for images

  bool makes_images() const { return row_shape.size() == 3; }

  /// "data.shape" (int64) and, for points, "data.mean" and "data.std", which share storage with the model.
  tensor::NamedTensors buffers() const;
};

/// An untrained model for data of `row_shape`, the weights drawn from train.seed. Throws UsageError naming
/// the key if the configuration does not suit the data.
Model make_model(const RunConfig& config, at::IntArrayRef row_shape);

/// Throws what make_model() would, without taking memory for weights.
void check_model(const RunConfig& config, at::IntArrayRef row_shape);

/// The task that trains `model` on `data` (uint8 [n, C, H, W] or float32 [n, D] in its own units). With
/// data.standardise, takes the mean and standard deviation of points into the model. `model` must outlive it.
/// Throws DataError for coordinates that are constant or not finite.
std::unique_ptr<DdpmTask> make_task(const RunConfig& config, Model& model, const at::Tensor& data);

/// The model of a checkpoint, ready for sampling. `origin` names it in messages. Throws DataError if the
/// tensors do not fit the configuration kept with them.
Model restore_model(const training::SavedWeights& weights, const std::string& origin);

/// The configuration that a checkpoint keeps.
RunConfig restore_config(const std::string& config_json, const std::string& origin);

/// Samples `indices` in the data's own form: uint8 [n, C, H, W], or float32 [n, D] in the units of the data.
/// As sample() otherwise.
at::Tensor sample_data(const Model& model, const SampleOptions& options, std::span<const int64_t> indices,
                       const SampleProgress& progress = {});

}  // namespace ddpm_eval::ddpm
