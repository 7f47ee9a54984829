#include "metrics/filter_resample.h"

#include "base/core/error.h"
#include "base/tensor/send.h"
#include "base/tensor/shape.h"
#include "metrics/filter_kernel.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/Parallel.h>
#include <torch/types.h>

namespace ddpm_eval::metrics {
namespace {

using detail::Bounds;
using detail::Filter;
using detail::kFilterLanes;
using detail::kFilterRows;

constexpr int64_t kColours = 3;

struct PillowBicubic {
  using Number = double;
  static constexpr double kReach = 2.0;
  static constexpr Bounds kBounds{0.0f, 255.0f};
  static Number weight(Number x) {
    constexpr double a = -0.5;
    x = std::abs(x);
    if (x < 1.0) {
      return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    }
    return x < kReach ? (((x - 5.0) * x + 8.0) * x - 4.0) * a : 0.0;
  }
};

struct AntialiasedBilinear {
  using Number = float;
  static constexpr double kReach = 1.0;
  static constexpr Bounds kBounds{-std::numeric_limits<float>::infinity(),
                                  std::numeric_limits<float>::infinity()};
  static Number weight(Number x) { return std::max(0.0f, 1.0f - std::abs(x)); }
};

/// Each line rounds as both sources do, to `Number` where they store: Pillow in float64, PyTorch in float32
/// with halves added in float64.
template <class Rule>
Filter<typename Rule::Number> make_filter(int64_t in, int64_t out) {
  using Number = typename Rule::Number;
  Filter<Number> filter;
  const Number scale = static_cast<Number>(in) / static_cast<Number>(out);
  const auto widening = std::max(scale, Number(1));
  const auto reach = static_cast<Number>(Rule::kReach * widening);
  const auto inverse = static_cast<Number>(1.0 / widening);
  std::vector<std::vector<Number>> weights;
  for (int64_t o = 0; o < out; ++o) {
    if (in == out) {  // the filters' other weights are 0 then
      filter.first.push_back(o);
      weights.push_back({Number(1)});
      continue;
    }
    const auto centre = static_cast<Number>(scale * (static_cast<double>(o) + 0.5));
    const int64_t first = std::max<int64_t>(static_cast<int64_t>((centre - reach) + 0.5), 0);
    const int64_t end = std::min(static_cast<int64_t>((centre + reach) + 0.5), in);
    std::vector<Number> taps;
    Number total = 0;
    for (int64_t j = first; j < end; ++j) {
      const Number offset = static_cast<Number>(j) - centre;
      taps.push_back(Rule::weight(static_cast<Number>((offset + 0.5) * inverse)));
      total += taps.back();
    }
    for (Number& tap : taps) {
      tap = total != 0 ? tap / total : tap;
    }
    filter.first.push_back(first);
    weights.push_back(std::move(taps));
  }
  for (const auto& taps : weights) {
    filter.count.push_back(static_cast<int64_t>(taps.size()));
    filter.width = std::max(filter.width, filter.count.back());
  }
  for (auto& taps : weights) {
    taps.resize(static_cast<size_t>(filter.width));
    filter.weights.insert(filter.weights.end(), taps.begin(), taps.end());
  }
  return filter;
}

/// Source rows with their columns filtered, interleaved float32. Rows are asked for from top to bottom; as
/// many are kept as one output row reads, in groups that are filtered together.
template <class Number>
class FilteredRows {
 public:
  /// Of images [n, 3, height, width] in memory, for outputs that read up to `most` rows.
  FilteredRows(const uint8_t* images, int64_t height, int64_t width, const Filter<Number>& columns,
               int64_t most)
      : images_(images),
        height_(height),
        width_(width),
        columns_(columns),
        row_floats_(static_cast<int64_t>(columns.first.size()) * kColours),
        slots_((most + 2 * (kFilterRows - 1)) / kFilterRows * kFilterRows),
        rows_(static_cast<size_t>(slots_ * row_floats_)),
        packed_(static_cast<size_t>(width * kFilterLanes)),
        pointers_(static_cast<size_t>(most)) {}

  /// `count` rows of image `image` from row `first` on.
  const float* const* rows(int64_t image, int64_t first, int64_t count) {
    if (image != image_) {
      image_ = image;
      loaded_ = 0;
    }
    loaded_ = std::max(loaded_, first / kFilterRows * kFilterRows);
    for (; loaded_ < first + count; loaded_ += kFilterRows) {
      fill(loaded_);
    }
    for (int64_t j = 0; j < count; ++j) {
      pointers_[static_cast<size_t>(j)] = slot(first + j);
    }
    return pointers_.data();
  }

 private:
  float* slot(int64_t y) { return rows_.data() + y % slots_ * row_floats_; }

  /// Rows y .. y + kFilterRows - 1, the last one again for those below the image.
  void fill(int64_t y) {
    std::array<const uint8_t*, kFilterLanes> planes;
    for (int64_t lane = 0; lane < kFilterLanes; ++lane) {
      const int64_t row = std::min(y + lane / kColours, height_ - 1);
      planes[static_cast<size_t>(lane)] =
          images_ + ((image_ * kColours + lane % kColours) * height_ + row) * width_;
    }
    detail::filter_columns(planes, width_, columns_, packed_.data(), slot(y), row_floats_);
  }

  const uint8_t* images_;
  int64_t height_;
  int64_t width_;
  const Filter<Number>& columns_;
  int64_t row_floats_;
  int64_t slots_;  ///< a multiple of kFilterRows, so that a group does not wrap around
  std::vector<float> rows_;
  std::vector<Number> packed_;
  std::vector<const float*> pointers_;
  int64_t image_ = -1;
  int64_t loaded_ = 0;  ///< rows before it have been filtered, the last `slots_` of them are there
};

/// The weighted sums of `filter` along dimension `dim` of `x`, one operator for each rounding of the CPU's
/// loops: the same bits, as the weights beyond an output's own are 0.
template <class Number>
at::Tensor sums_along(const at::Tensor& x, int64_t dim, const Filter<Number>& filter) {
  const auto outputs = static_cast<int64_t>(filter.first.size());
  std::vector<int64_t> shape(4, 1);
  shape[static_cast<size_t>(dim)] = outputs;
  at::Tensor sum;
  for (int64_t j = 0; j < filter.width; ++j) {
    std::vector<int64_t> index;
    std::vector<Number> weight;
    for (int64_t o = 0; o < outputs; ++o) {
      index.push_back(std::min(filter.first[static_cast<size_t>(o)] + j, x.size(dim) - 1));
      weight.push_back(filter.weights[static_cast<size_t>(o * filter.width + j)]);
    }
    const auto taps = torch::tensor(weight, c10::CppTypeToScalarType<Number>::value).view(shape);
    auto term = x.index_select(dim, tensor::send(torch::tensor(index), x.device()))
                    .mul_(tensor::send(taps, x.device()));
    sum = sum.defined() ? sum.add_(term) : std::move(term);
  }
  return sum;
}

template <class Number>
at::Tensor filter_along(const at::Tensor& x, int64_t dim, const Filter<Number>& filter) {
  return sums_along(x, dim, filter).to(at::kFloat);
}

/// As libImaging/Resample.c has it for 8 bits: whole weights, so that float64 sums are exact, half a unit and
/// an arithmetic shift.
at::Tensor filter_bytes_along(const at::Tensor& x, int64_t dim, int64_t out) {
  constexpr double kUnit = 1 << 22;
  auto filter = make_filter<PillowBicubic>(x.size(dim), out);
  for (double& weight : filter.weights) {
    weight = std::trunc(weight * kUnit + (weight < 0 ? -0.5 : 0.5));
  }
  return sums_along(x, dim, filter).add_(kUnit / 2).div_(kUnit).floor_().clamp_(0, 255);
}

template <class Rule>
at::Tensor filter_by_operators(const at::Tensor& images_u8, int64_t out_h, int64_t out_w) {
  using Number = typename Rule::Number;
  constexpr auto kType = c10::CppTypeToScalarType<Number>::value;
  const auto wide = filter_along(images_u8.to(kType), 3, make_filter<Rule>(images_u8.size(3), out_w));
  return filter_along(wide.to(kType), 2, make_filter<Rule>(images_u8.size(2), out_h))
      .clamp_(Rule::kBounds.low, Rule::kBounds.high);
}

template <class Rule>
at::Tensor filter_resample(const at::Tensor& images_u8, int64_t out_h, int64_t out_w) {
  tensor::expect(images_u8, at::kByte, {-1, kColours, -1, -1}, "images_u8");
  const int64_t height = images_u8.size(2);
  const int64_t width = images_u8.size(3);
  DDPM_CHECK(height > 0 && width > 0 && out_h > 0 && out_w > 0, "resampling {}x{} to {}x{}", width, height,
             out_w, out_h);
  if (!images_u8.device().is_cpu()) {
    return filter_by_operators<Rule>(images_u8, out_h, out_w);
  }
  using Number = typename Rule::Number;
  const int64_t count = images_u8.size(0);
  const at::Tensor source = images_u8.contiguous();
  at::Tensor result = at::empty({count, kColours, out_h, out_w}, at::kFloat, at::MemoryFormat::ChannelsLast);
  const auto columns = make_filter<Rule>(width, out_w);
  const auto rows = make_filter<Rule>(height, out_h);
  const int64_t row_floats = out_w * kColours;
  const uint8_t* in = source.data_ptr<uint8_t>();
  float* out = result.data_ptr<float>();

  constexpr int64_t kRowsPerTask = 64;
  at::parallel_for(0, count * out_h, kRowsPerTask, [&](int64_t begin, int64_t end) {
    FilteredRows<Number> filtered(in, height, width, columns, rows.width);
    for (int64_t r = begin; r < end; ++r) {
      const auto o = static_cast<size_t>(r % out_h);
      const Number* weights = rows.weights.data() + static_cast<int64_t>(o) * rows.width;
      detail::blend_rows(filtered.rows(r / out_h, rows.first[o], rows.count[o]), weights, rows.count[o],
                         row_floats, Rule::kBounds, out + r * row_floats);
    }
  });
  return result;
}

}  // namespace

at::Tensor resample_pillow_bicubic(const at::Tensor& images_u8, int64_t out_h, int64_t out_w) {
  return filter_resample<PillowBicubic>(images_u8, out_h, out_w);
}

at::Tensor resample_pillow_bicubic_of_bytes(const at::Tensor& images_u8, int64_t out_h, int64_t out_w) {
  tensor::expect(images_u8, at::kByte, {-1, kColours, -1, -1}, "images_u8");
  const auto wide = filter_bytes_along(images_u8.to(at::kDouble), 3, out_w);
  return filter_bytes_along(wide, 2, out_h).to(at::kFloat).contiguous(at::MemoryFormat::ChannelsLast);
}

at::Tensor resample_antialiased_bilinear(const at::Tensor& images_u8, int64_t out_h, int64_t out_w) {
  return filter_resample<AntialiasedBilinear>(images_u8, out_h, out_w);
}

namespace detail {

at::Tensor pillow_bicubic_by_operators(const at::Tensor& images_u8, int64_t out_h, int64_t out_w) {
  return filter_by_operators<PillowBicubic>(images_u8, out_h, out_w);
}

at::Tensor antialiased_bilinear_by_operators(const at::Tensor& images_u8, int64_t out_h, int64_t out_w) {
  return filter_by_operators<AntialiasedBilinear>(images_u8, out_h, out_w);
}

}  // namespace detail

}  // namespace ddpm_eval::metrics
