#pragma once

#include "base/data/image_source.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <torch/types.h>

namespace ddpm_eval::testing {

/// A source of images in memory, uint8 [1, 3, H, W] each, that hands out at most `chunk` at a time.
class MemorySource final : public data::ImageSource {
 public:
  explicit MemorySource(std::vector<at::Tensor> images, int64_t chunk = 1 << 20)
      : images_(std::move(images)), chunk_(chunk) {}

  std::string name() const override { return "memory"; }
  std::optional<int64_t> size() const override { return static_cast<int64_t>(images_.size()); }

  at::Tensor next(int64_t max_images) override {
    std::vector<at::Tensor> batch;
    while (next_ < images_.size() && static_cast<int64_t>(batch.size()) < std::min(max_images, chunk_) &&
           (batch.empty() || images_[next_].sizes() == batch.front().sizes())) {
      batch.push_back(images_[next_++]);
    }
    report_.yielded += static_cast<int64_t>(batch.size());
    return batch.empty() ? at::Tensor() : at::cat(batch);
  }

  const data::SourceReport& report() const override { return report_; }

 private:
  std::vector<at::Tensor> images_;
  int64_t chunk_;
  size_t next_ = 0;
  data::SourceReport report_;
};

}  // namespace ddpm_eval::testing
