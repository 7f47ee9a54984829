#include "metrics/resample.h"

#include "base/core/error.h"
#include "base/tensor/send.h"
#include "base/tensor/shape.h"

#include <array>
#include <cmath>
#include <utility>

#include <ATen/Parallel.h>
#include <torch/types.h>

namespace ddpm_eval::metrics {
namespace {

constexpr int64_t kChannels = 3;

/// Where one output column or row reads: between `lo` and `hi`, at fraction `t` from `lo`.
struct Tap {
  int64_t lo;
  int64_t hi;
  float t;
};

using ByteValues = std::array<float, 256>;

struct Tf1 {
  using Position = float;
  static Position position(int64_t out, float scale) { return static_cast<float>(out) * scale; }
  static float blend(float lo, float hi, float t) { return lo + (hi - lo) * t; }
  static at::Tensor blend(const at::Tensor& lo, const at::Tensor& hi, const at::Tensor& t,
                          const at::Tensor&) {
    return (hi - lo).mul_(t).add_(lo);
  }
  static float value(int byte) { return static_cast<float>(byte); }
};

struct HalfPixel {
  using Position = double;
  static Position position(int64_t out, float scale) {
    return std::max(0.0, scale * (static_cast<double>(out) + 0.5) - 0.5);
  }
  static float blend(float lo, float hi, float t) { return (1.0f - t) * lo + t * hi; }
  static at::Tensor blend(const at::Tensor& lo, const at::Tensor& hi, const at::Tensor& t,
                          const at::Tensor& rest) {
    return (lo * rest).add_(hi * t);
  }
  static float value(int byte) { return static_cast<float>(byte) / 255.0f; }
};

struct HalfPixelOfBytes : HalfPixel {
  static float value(int byte) { return static_cast<float>(byte); }
};

template <class Rule>
std::vector<Tap> make_taps(int64_t in, int64_t out) {
  using Position = typename Rule::Position;
  const float scale = static_cast<float>(in) / static_cast<float>(out);
  std::vector<Tap> taps(static_cast<size_t>(out));
  for (int64_t o = 0; o < out; ++o) {
    const Position x = Rule::position(o, scale);
    const int64_t lo = std::min(static_cast<int64_t>(x), in - 1);
    taps[static_cast<size_t>(o)] = {lo, std::min(lo + 1, in - 1),
                                    static_cast<float>(x - static_cast<Position>(lo))};
  }
  return taps;
}

/// Horizontally resampled source rows. Consecutive output rows read the same two source rows or move on by a
/// few, so two slots suffice for each source row to be resampled once.
template <class Rule>
class RowCache {
 public:
  RowCache(const uint8_t* images, int64_t height, int64_t width, const std::vector<Tap>& taps)
      : images_(images), height_(height), width_(width), taps_(taps), values_(byte_values()) {
    for (auto& slot : slots_) {
      slot.row.resize(taps.size() * kChannels);
    }
  }

  /// Row `y` of image `image`, interleaved; the slot that holds row `keep` of that image is left alone.
  const float* row(int64_t image, int64_t y, int64_t keep) {
    const int64_t key = image * height_ + y;
    for (const auto& slot : slots_) {
      if (slot.key == key) {
        return slot.row.data();
      }
    }
    Slot& slot = slots_[slots_[0].key == image * height_ + keep ? 1 : 0];
    slot.key = key;
    fill(image, y, slot.row.data());
    return slot.row.data();
  }

 private:
  struct Slot {
    int64_t key = -1;
    std::vector<float> row;
  };

  static ByteValues byte_values() {
    ByteValues values;
    for (int byte = 0; byte < 256; ++byte) {
      values[static_cast<size_t>(byte)] = Rule::value(byte);
    }
    return values;
  }

  void fill(int64_t image, int64_t y, float* out) const {
    const int64_t plane = height_ * width_;
    const uint8_t* source = images_ + image * kChannels * plane + y * width_;
    for (const Tap& tap : taps_) {
      for (int64_t c = 0; c < kChannels; ++c) {
        *out++ = Rule::blend(values_[source[c * plane + tap.lo]], values_[source[c * plane + tap.hi]], tap.t);
      }
    }
  }

  const uint8_t* images_;
  int64_t height_;
  int64_t width_;
  const std::vector<Tap>& taps_;
  ByteValues values_;
  std::array<Slot, 2> slots_;
};

/// What `taps` make of dimension `dim` of `x`, one operator for each rounding of the CPU's loop: the same
/// bits.
template <class Rule>
at::Tensor blend_along(const at::Tensor& x, int64_t dim, const std::vector<Tap>& taps) {
  std::vector<int64_t> lo, hi, shape(4, 1);
  std::vector<float> t, rest;
  for (const Tap& tap : taps) {
    lo.push_back(tap.lo);
    hi.push_back(tap.hi);
    t.push_back(tap.t);
    rest.push_back(1.0f - tap.t);
  }
  shape[static_cast<size_t>(dim)] = static_cast<int64_t>(taps.size());
  const auto from = [&](const std::vector<int64_t>& index) {
    return x.index_select(dim, tensor::send(torch::tensor(index), x.device()));
  };
  const auto share = [&](const std::vector<float>& values) {
    return tensor::send(torch::tensor(values).view(shape), x.device());
  };
  return Rule::blend(from(lo), from(hi), share(t), share(rest));
}

/// The same on the device of `images_u8`, for GPUs; the layout is left to the network.
template <class Rule>
at::Tensor resample_by_operators(const at::Tensor& images_u8, int64_t out_h, int64_t out_w) {
  std::vector<float> values;
  for (int byte = 0; byte < 256; ++byte) {
    values.push_back(Rule::value(byte));
  }
  const auto table = tensor::send(torch::tensor(values), images_u8.device());
  const auto x = table.index_select(0, images_u8.flatten().to(at::kInt)).view(images_u8.sizes());
  const auto wide = blend_along<Rule>(x, 3, make_taps<Rule>(images_u8.size(3), out_w));
  return blend_along<Rule>(wide, 2, make_taps<Rule>(images_u8.size(2), out_h));
}

template <class Rule>
at::Tensor resample(const at::Tensor& images_u8, int64_t out_h, int64_t out_w) {
  tensor::expect(images_u8, at::kByte, {-1, kChannels, -1, -1}, "images_u8");
  if (!images_u8.device().is_cpu()) {
    return resample_by_operators<Rule>(images_u8, out_h, out_w);
  }
  const int64_t count = images_u8.size(0);
  const int64_t height = images_u8.size(2);
  const int64_t width = images_u8.size(3);
  DDPM_CHECK(height > 0 && width > 0 && out_h > 0 && out_w > 0, "resampling {}x{} to {}x{}", width, height,
             out_w, out_h);
  const at::Tensor source = images_u8.contiguous();
  at::Tensor result = at::empty({count, kChannels, out_h, out_w}, at::kFloat, at::MemoryFormat::ChannelsLast);
  const auto columns = make_taps<Rule>(width, out_w);
  const auto rows = make_taps<Rule>(height, out_h);
  const int64_t row_floats = out_w * kChannels;
  const uint8_t* in = source.data_ptr<uint8_t>();
  float* out = result.data_ptr<float>();

  constexpr int64_t kRowsPerTask = 64;
  at::parallel_for(0, count * out_h, kRowsPerTask, [&](int64_t begin, int64_t end) {
    RowCache<Rule> cache(in, height, width, columns);
    for (int64_t r = begin; r < end; ++r) {
      const Tap tap = rows[static_cast<size_t>(r % out_h)];
      const float* lo = cache.row(r / out_h, tap.lo, tap.hi);
      const float* hi = cache.row(r / out_h, tap.hi, tap.lo);
      float* target = out + r * row_floats;
#pragma omp simd
      for (int64_t i = 0; i < row_floats; ++i) {
        target[i] = Rule::blend(lo[i], hi[i], tap.t);
      }
    }
  });
  return result;
}

}  // namespace

at::Tensor resample_tf1_bilinear(const at::Tensor& images_u8, int64_t out_h, int64_t out_w) {
  return resample<Tf1>(images_u8, out_h, out_w);
}

at::Tensor resample_half_pixel_bilinear(const at::Tensor& images_u8, int64_t out_h, int64_t out_w) {
  return resample<HalfPixel>(images_u8, out_h, out_w);
}

at::Tensor resample_half_pixel_of_bytes(const at::Tensor& images_u8, int64_t out_h, int64_t out_w) {
  return resample<HalfPixelOfBytes>(images_u8, out_h, out_w);
}

namespace detail {

at::Tensor tf1_bilinear_by_operators(const at::Tensor& images_u8, int64_t out_h, int64_t out_w) {
  return resample_by_operators<Tf1>(images_u8, out_h, out_w);
}

at::Tensor half_pixel_bilinear_by_operators(const at::Tensor& images_u8, int64_t out_h, int64_t out_w) {
  return resample_by_operators<HalfPixel>(images_u8, out_h, out_w);
}

}  // namespace detail

}  // namespace ddpm_eval::metrics
