#include "base/data/digest_source.h"

#include <array>

#include <torch/types.h>

namespace ddpm_eval::data {

at::Tensor DigestSource::next(int64_t max_images) {
  auto images = ForwardingSource::next(max_images);
  drained_ = !images.defined();
  if (!drained_) {
    const auto rows = images.contiguous();
    const std::array<int64_t, 2> size{rows.size(2), rows.size(3)};
    const auto bytes = static_cast<size_t>(rows.size(1) * rows.size(2) * rows.size(3));
    const auto* pixels = rows.data_ptr<uint8_t>();
    const auto add = [&](core::Sha256& digest) {
      digest.update(size.data(), sizeof(size));
      digest.update(pixels, bytes);
    };
    for (int64_t i = 0; i < rows.size(0); ++i, pixels += bytes, ++seen_) {
      add(digest_);
      if (seen_ < kHead) {
        add(head_);
      }
    }
  }
  return images;
}

}  // namespace ddpm_eval::data
