#pragma once

#include "base/data/image_source.h"

#include <functional>
#include <optional>
#include <string>
#include <utility>

namespace ddpm_eval::data {

/// Another source, which must outlive this one; `watch` sees the images that come out of it.
class WatchedSource final : public ImageSource {
 public:
  using Watch = std::function<void(const at::Tensor& images_u8)>;

  WatchedSource(ImageSource& inner, Watch watch) : inner_(inner), watch_(std::move(watch)) {}

  std::string name() const override { return inner_.name(); }
  std::optional<int64_t> size() const override { return inner_.size(); }
  at::Tensor next(int64_t max_images) override {
    auto images = inner_.next(max_images);
    if (images.defined()) {
      watch_(images);
    }
    return images;
  }
  const SourceReport& report() const override { return inner_.report(); }
  Classes classes() const override { return inner_.classes(); }
  at::Tensor labels() const override { return inner_.labels(); }
  std::string context_json() const override { return inner_.context_json(); }

 private:
  ImageSource& inner_;
  Watch watch_;
};

}  // namespace ddpm_eval::data
