#include "metrics/resample.h"

#include "base/core/error.h"
#include "base/tensor/shape.h"

#include <array>
#include <cmath>
#include <utility>

#include <ATen/Parallel.h>
#include <torch/types.h>

#ifdef DDPM_EVAL_WITH_CUDA
#include "base/tensor/send.h"
#include "metrics/resample_cuda.h"

#include <ATen/cuda/CUDAContext.h>
#endif

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
#ifdef DDPM_EVAL_WITH_CUDA
  static constexpr auto kOnGpu = cuda::BilinearRule::kTf1;
#endif
  using Position = float;
  static Position position(int64_t out, float scale) { return static_cast<float>(out) * scale; }
  static float blend(float lo, float hi, float t) { return lo + (hi - lo) * t; }
  static float value(int byte) { return static_cast<float>(byte); }
};

struct HalfPixel {
#ifdef DDPM_EVAL_WITH_CUDA
  static constexpr auto kOnGpu = cuda::BilinearRule::kHalfPixel;
#endif
  using Position = double;
  static Position position(int64_t out, float scale) {
    return std::max(0.0, scale * (static_cast<double>(out) + 0.5) - 0.5);
  }
  static float blend(float lo, float hi, float t) { return (1.0f - t) * lo + t * hi; }
  static float value(int byte) { return static_cast<float>(byte) / 255.0f; }
};

struct HalfPixelOfBytes : HalfPixel {
#ifdef DDPM_EVAL_WITH_CUDA
  static constexpr auto kOnGpu = cuda::BilinearRule::kHalfPixelOfBytes;
#endif
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

#ifdef DDPM_EVAL_WITH_CUDA
/// Taps on a device.
struct SentTaps {
  SentTaps(const std::vector<Tap>& taps, at::Device device) {
    const auto count = static_cast<int64_t>(taps.size());
    const at::Tensor lo_hi = at::empty({2, count}, at::kInt), fractions = at::empty({count}, at::kFloat);
    for (int64_t o = 0; o < count; ++o) {
      const Tap& tap = taps[static_cast<size_t>(o)];
      lo_hi.data_ptr<int32_t>()[o] = static_cast<int32_t>(tap.lo);
      lo_hi.data_ptr<int32_t>()[count + o] = static_cast<int32_t>(tap.hi);
      fractions.data_ptr<float>()[o] = tap.t;
    }
    indices = tensor::send(lo_hi, device);
    t = tensor::send(fractions, device);
  }

  cuda::BilinearTaps view() const {
    const auto* lo = indices.data_ptr<int32_t>();
    return {lo, lo + t.numel(), t.data_ptr<float>()};
  }

  at::Tensor indices, t;
};

/// The same on the GPU of `images_u8`, to the bit.
template <class Rule>
at::Tensor resample_on_gpu(const at::Tensor& images_u8, int64_t out_h, int64_t out_w) {
  const at::Tensor source = images_u8.contiguous();
  const SentTaps rows(make_taps<Rule>(source.size(2), out_h), source.device());
  const SentTaps columns(make_taps<Rule>(source.size(3), out_w), source.device());
  const cuda::BilinearProblem problem{.rule = Rule::kOnGpu,
                                      .count = source.size(0),
                                      .height = source.size(2),
                                      .width = source.size(3),
                                      .out_height = out_h,
                                      .out_width = out_w};
  const at::Tensor result = at::empty({problem.count, kChannels, out_h, out_w},
                                      source.options().dtype(at::kFloat), at::MemoryFormat::ChannelsLast);
  cuda::resample_bilinear(problem, rows.view(), columns.view(), source.data_ptr<uint8_t>(),
                          result.data_ptr<float>(), at::cuda::getCurrentCUDAStream());
  return result;
}
#endif

template <class Rule>
at::Tensor resample(const at::Tensor& images_u8, int64_t out_h, int64_t out_w) {
  tensor::expect(images_u8, at::kByte, {-1, kChannels, -1, -1}, "images_u8");
  const int64_t count = images_u8.size(0);
  const int64_t height = images_u8.size(2);
  const int64_t width = images_u8.size(3);
  DDPM_CHECK(height > 0 && width > 0 && out_h > 0 && out_w > 0, "resampling {}x{} to {}x{}", width, height,
             out_w, out_h);
#ifdef DDPM_EVAL_WITH_CUDA
  if (images_u8.is_cuda()) {
    return resample_on_gpu<Rule>(images_u8, out_h, out_w);
  }
#endif
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

}  // namespace ddpm_eval::metrics
