#pragma once

#include "base/data/forwarding_source.h"

#include <functional>
#include <utility>

namespace ddpm_eval::data {

/// Another source, which must outlive this one; `watch` sees the images that come out of it.
class WatchedSource final : public ForwardingSource {
 public:
  using Watch = std::function<void(const at::Tensor& images_u8)>;

  WatchedSource(ImageSource& inner, Watch watch) : ForwardingSource(inner), watch_(std::move(watch)) {}

  at::Tensor next(int64_t max_images) override {
    auto images = ForwardingSource::next(max_images);
    if (images.defined()) {
      watch_(images);
    }
    return images;
  }

 private:
  Watch watch_;
};

}  // namespace ddpm_eval::data
