#pragma once

#include "base/core/digest.h"
#include "base/data/image_source.h"

#include <optional>
#include <string>

namespace ddpm_eval::data {

/// Another source, which must outlive this one, with the SHA-256 of the images that have come out of it.
class DigestSource final : public ImageSource {
 public:
  explicit DigestSource(ImageSource& inner) : inner_(inner) {}

  std::string name() const override { return inner_.name(); }
  std::optional<int64_t> size() const override { return inner_.size(); }
  at::Tensor next(int64_t max_images) override;
  const SourceReport& report() const override { return inner_.report(); }
  std::string context_json() const override { return inner_.context_json(); }

  /// 64 lower-case hexadecimal digits, of sizes and pixels in their order, however the images were cut into
  /// batches. Call once, after the last next().
  std::string sha256() { return digest_.finish(); }

 private:
  ImageSource& inner_;
  core::Sha256 digest_;
};

}  // namespace ddpm_eval::data
