#pragma once

#include "base/data/image_walk.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace ddpm_eval::data {

/// The numbers of a Netpbm header and of its text forms: separated by white space and comments. Shared by the
/// readers of image files.
class NetpbmReader {
 public:
  NetpbmReader(const ByteView& file, size_t at) : file_(file), at_(at) {}

  uint32_t number() {
    skip_space();
    uint64_t value = 0;
    const size_t begin = at_;
    for (; at_ < file_.size() && is_digit(file_.u8(at_)); ++at_) {
      value = std::min<uint64_t>(value * 10 + (file_.u8(at_) - '0'), UINT32_MAX);
    }
    if (at_ == begin) {
      throw BadImage{at_ >= file_.size() ? "truncated" : "damaged PNM: a number is missing"};
    }
    return static_cast<uint32_t>(value);
  }

  /// One digit of a P1 file, where nothing need separate them.
  bool bit() {
    skip_space();
    const uint8_t digit = file_.u8(at_);
    if (digit != '0' && digit != '1') {
      throw BadImage{"damaged PNM: neither 0 nor 1"};
    }
    ++at_;
    return digit == '1';
  }

  size_t position() const { return at_; }

 private:
  static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

  void skip_space() {
    while (at_ < file_.size()) {
      const uint8_t c = file_.u8(at_);
      if (c == '#') {
        at_ = file_.find('\n', at_);
      } else if (c != ' ' && (c < '\t' || c > '\r')) {
        return;
      }
      ++at_;
    }
  }

  const ByteView& file_;
  size_t at_;
};

}  // namespace ddpm_eval::data
