#include "base/training/batches.h"

#include "base/core/error.h"
#include "base/tensor/noise.h"
#include "base/tensor/shape.h"

#include <algorithm>

namespace ddpm_eval::training {

BatchOrder::BatchOrder(uint64_t seed, int64_t batch_size, int64_t dataset_size)
    : seed_(seed), batch_size_(batch_size), dataset_size_(dataset_size) {
  DDPM_CHECK(batch_size >= 1 && dataset_size >= 1, "batches of {} out of {}", batch_size, dataset_size);
}

at::Tensor BatchOrder::indices(int64_t step) {
  DDPM_CHECK(step >= 0, "step {}", step);
  at::Tensor batch = torch::empty({batch_size_}, torch::kInt64);
  int64_t filled = 0;
  while (filled < batch_size_) {
    const int64_t position = step * batch_size_ + filled;
    const int64_t epoch = position / dataset_size_;
    if (epoch != cached_epoch_) {
      cached_order_ = tensor::permutation({seed_, "train.order"}, epoch, dataset_size_);
      cached_epoch_ = epoch;
    }
    const int64_t offset = position % dataset_size_;
    const int64_t count = std::min(batch_size_ - filled, dataset_size_ - offset);
    std::copy_n(cached_order_.data_ptr<int64_t>() + offset, count, batch.data_ptr<int64_t>() + filled);
    filled += count;
  }
  return batch;
}

at::Tensor horizontal_flips(uint64_t seed, int64_t step, int64_t batch_size) {
  const auto slots = tensor::index_range(0, batch_size);
  return tensor::integers({seed, "train.flip"}, slots, step, 2).to(torch::kBool);
}

at::Tensor flip_horizontally(const at::Tensor& images, const at::Tensor& flips) {
  DDPM_CHECK(images.dim() == 4, "images are {}", tensor::describe(images));
  tensor::expect(flips, at::kBool, {images.size(0)}, "flips");
  return torch::where(flips.view({-1, 1, 1, 1}), images.flip({3}), images);
}

}  // namespace ddpm_eval::training
