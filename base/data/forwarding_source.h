#pragma once

#include "base/data/image_source.h"

#include <optional>
#include <string>

namespace ddpm_eval::data {

/// Another source, which must outlive this one, for those who look at its images or change a part of what it
/// says.
class ForwardingSource : public ImageSource {
 public:
  explicit ForwardingSource(ImageSource& inner) : inner_(inner) {}

  std::string name() const override { return inner_.name(); }
  std::optional<int64_t> size() const override { return inner_.size(); }
  at::Tensor next(int64_t max_images) override { return inner_.next(max_images); }
  const SourceReport& report() const override { return inner_.report(); }
  Classes classes() const override { return inner_.classes(); }
  at::Tensor labels() const override { return inner_.labels(); }
  std::string context_json() const override { return inner_.context_json(); }

 private:
  ImageSource& inner_;
};

}  // namespace ddpm_eval::data
