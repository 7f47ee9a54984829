#pragma once

#include "base/data/image_codec.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// Shared by the readers of image files; not for other rooms.
namespace ddpm_eval::data {

/// Thrown inside the header readers only; becomes HeaderOutcome::problem.
struct BadImage {
  std::string problem;
};

/// Integers and slices of a file; whatever lies beyond its end is BadImage "truncated".
class ByteView {
 public:
  explicit ByteView(std::span<const char> bytes) : bytes_(bytes) {}

  size_t size() const { return bytes_.size(); }

  std::string_view text(uint64_t at, uint64_t count) const {
    if (at > bytes_.size() || count > bytes_.size() - at) {
      throw BadImage{"truncated"};
    }
    return {bytes_.data() + at, count};
  }
  uint8_t u8(uint64_t at) const { return static_cast<uint8_t>(text(at, 1)[0]); }
  uint32_t le16(uint64_t at) const { return little(at, 2); }
  uint32_t le32(uint64_t at) const { return little(at, 4); }
  uint32_t be16(uint64_t at) const { return big(at, 2); }
  uint32_t be32(uint64_t at) const { return big(at, 4); }

  /// The first `byte` at or after `at`.
  size_t find(char byte, size_t at) const {
    const size_t found = std::string_view(bytes_.data(), bytes_.size()).find(byte, at);
    if (found == std::string_view::npos) {
      throw BadImage{"truncated"};
    }
    return found;
  }

 private:
  uint32_t little(uint64_t at, size_t count) const {
    uint32_t value = 0;
    const auto raw = text(at, count);
    for (size_t i = count; i-- > 0;) {
      value = value << 8 | static_cast<uint8_t>(raw[i]);
    }
    return value;
  }
  uint32_t big(uint64_t at, size_t count) const {
    uint32_t value = 0;
    for (const char byte : text(at, count)) {
      value = value << 8 | static_cast<uint8_t>(byte);
    }
    return value;
  }

  std::span<const char> bytes_;
};

/// Empty, or why an image of this size is not decoded.
std::string image_limits_problem(const ImageHeader& header);

/// A PNG that walks without fault, reduced to what its pixels depend on: the critical chunks and tRNS.
std::vector<char> png_without_extras(const ByteView& file);

ImageHeader walk_tiff(const ByteView& file);

}  // namespace ddpm_eval::data
