#pragma once

#include "base/core/digest.h"
#include "base/data/forwarding_source.h"

#include <string>

namespace ddpm_eval::data {

/// Another source, which must outlive this one, with the SHA-256 of the images that have come out of it.
class DigestSource final : public ForwardingSource {
 public:
  using ForwardingSource::ForwardingSource;

  at::Tensor next(int64_t max_images) override;

  /// Images that head_sha256() is of: enough to tell most sets apart before all is read.
  static constexpr int64_t kHead = 256;
  /// Whether the head has come out; also true of no more than that once the source is drained.
  bool head_is_whole() const { return seen_ >= kHead || drained_; }

  /// 64 lower-case hexadecimal digits, of sizes and pixels in their order, however the images were cut into
  /// batches. Call each once: of the head once it is whole, of all after the last next().
  std::string head_sha256() { return head_.finish(); }
  std::string sha256() { return digest_.finish(); }

 private:
  core::Sha256 head_;
  core::Sha256 digest_;
  int64_t seen_ = 0;
  bool drained_ = false;
};

}  // namespace ddpm_eval::data
