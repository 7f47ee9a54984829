#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

// Which images a step sees, as pure functions of (seed, step): a resumed run needs no saved data order.
namespace ddpm_eval::training {

/// The data set in a new random order each epoch, cut into batches that run on over the end of an epoch:
/// every image is seen once per epoch and every batch is full.
class BatchOrder {
 public:
  /// `batch_size` and `dataset_size` at least 1; a batch may be larger than the data set.
  BatchOrder(uint64_t seed, int64_t batch_size, int64_t dataset_size);

  /// Indices into the data set for this step (0-based): int64 [batch_size] in [0, dataset_size). The order
  /// of the last epoch asked for is kept, so walking through the steps costs one permutation per epoch.
  at::Tensor indices(int64_t step);

 private:
  uint64_t seed_;
  int64_t batch_size_;
  int64_t dataset_size_;
  int64_t cached_epoch_ = -1;
  at::Tensor cached_order_;
};

/// Which images of the step's batch are mirrored: bool [batch_size], each with probability 1/2, by (seed,
/// step, slot).
at::Tensor horizontal_flips(uint64_t seed, int64_t step, int64_t batch_size);

/// `images` [n, C, H, W] of any dtype with those mirrored left to right for which `flips` (bool [n]) holds.
at::Tensor flip_horizontally(const at::Tensor& images, const at::Tensor& flips);

}  // namespace ddpm_eval::training
