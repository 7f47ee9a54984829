#include "metrics/pair_distance.h"

#include "base/core/error.h"
#include "metrics/feature_pairs.h"
#include "metrics/row_kernels.h"

#include <algorithm>
#include <cmath>

#include <ATen/Parallel.h>
#include <torch/types.h>

namespace ddpm_eval::metrics::detail {
namespace {

constexpr int64_t kAdmBatch = 10'000;
// Four times a squared norm bounds every number on the way to a distance, and 65504 is the largest half.
constexpr double kLongestHalf = 16'000.0;

double half(double value) { return rounded_to_half(static_cast<float>(value)); }

/// The power of two that brings the largest number of both sets near 1, or 1 where it is not far from that.
float scale_of(const at::Tensor& one, const at::Tensor& other) {
  constexpr int kFar = 30;
  constexpr int kMost = 120;  // whose inverse float32 has with all its digits
  float largest = 0.0F;
  for (const auto* rows : {&one, &other}) {
    for_each_block(rows->size(0), rows_of_block(rows->size(1)), [&](int64_t begin, int64_t count) {
      largest = std::max(largest, rows->narrow(0, begin, count).abs().max().item<float>());
    });
  }
  const int exponent = largest > 0.0F ? std::ilogb(largest) : 0;
  return std::abs(exponent) <= kFar ? 1.0F : std::ldexp(1.0F, -std::clamp(exponent, -kMost, kMost));
}

}  // namespace

PairDistance::Rows PairDistance::prepared(const at::Tensor& rows, DistanceArithmetic arithmetic) {
  DDPM_CHECK(rows.is_contiguous(), "rows with gaps");
  Rows result{rows, rows.data_ptr<float>(), {}, {}};
  if (arithmetic == DistanceArithmetic::kHalf) {
    const int64_t count = rows.size(0), dim = rows.size(1);
    result.norms.resize(static_cast<size_t>(count));
    for_each_row(count, [&](int64_t i) {
      result.norms[i] = static_cast<float>(sum_of_half_squares(result.data + i * dim, dim));
    });
    for_each_block(count, kAdmBatch, [&](int64_t begin, int64_t size) {
      const auto first = result.norms.begin() + begin;
      result.too_long.push_back(*std::max_element(first, first + size) > kLongestHalf ? 1 : 0);
    });
    std::transform(result.norms.begin(), result.norms.end(), result.norms.begin(), rounded_to_half);
  }
  return result;
}

PairDistance::PairDistance(const at::Tensor& x, const at::Tensor& y, DistanceArithmetic arithmetic)
    : arithmetic_(arithmetic), dim_(x.size(1)), x_(prepared(x, arithmetic)), y_(prepared(y, arithmetic)) {}

double PairDistance::operator()(int64_t i, int64_t j) const {
  const float* x = x_.data + i * dim_;
  const float* y = y_.data + j * dim_;
  if (arithmetic_ == DistanceArithmetic::kFloat64 || x_.too_long[i / kAdmBatch] != 0 ||
      y_.too_long[j / kAdmBatch] != 0) {
    return squared_distance(x, y, dim_);
  }
  // Each step rounds, as in |x|^2 - 2 x.y + |y|^2 on tensors of float16.
  const double product = half(inner_product_of_halves(x, y, dim_));
  return std::max(half(half(x_.norms[i] - 2.0 * product) + y_.norms[j]), 0.0);
}

DistanceBounds::DistanceBounds(const at::Tensor& one, const at::Tensor& other, DistanceArithmetic arithmetic)
    : arithmetic_(arithmetic),
      scale_(scale_of(one, other)),
      centre_((mean_of_rows(one, other) * double{scale_}).to(torch::kFloat32)) {}

at::Tensor DistanceBounds::block(const at::Tensor& rows, int64_t begin, int64_t count,
                                 at::Tensor& memory) const {
  const int64_t dim = rows.size(1);
  auto block = rows_of(memory, count, dim);
  const float* from = rows.data_ptr<float>() + begin * dim;
  auto* to = block.data_ptr<float>();
  const auto* centre = centre_.data_ptr<float>();
  for_each_row(count, [&](int64_t i) {
    const float* source = from + i * dim;
    float* row = to + i * dim;
    if (arithmetic_ == DistanceArithmetic::kHalf) {
      round_to_half(source, dim, row);
      source = row;
    }
    centre_row(source, scale_, centre, dim, row);
  });
  return block;
}

DistanceBounds::Side DistanceBounds::side(const at::Tensor& rows) const {
  const int64_t dim = rows.size(1);
  // Beside the products: the rounding of the moved rows (4 u), of thresholds made from these bounds in
  // float32 (12 u) and of the distances themselves.
  const double steps = (static_cast<double>(dim) + 32.0) * 0x1p-24;
  const double relative = steps < 0.5 ? steps / (1.0 - steps) : 0x1p100;
  // Products of numbers near 1 that are flushed to zero.
  const double smallest = static_cast<double>(dim) * 0x1p-120;
  // Half precision rounds the squares, the norms, the product and two sums: in all by at most 2^-11 of seven
  // times the two norms together, and by 2^-25 where numbers are small.
  constexpr double kHalfSteps = 7.2 * 0x1p-11;
  const double smallest_half = (static_cast<double>(dim) + 8.0) * 0x1p-24;
  Side side;
  side.low.resize(static_cast<size_t>(rows.size(0)));
  side.high.resize(side.low.size());
  at::Tensor memory = torch::empty({0}, torch::kFloat32);
  for_each_block(rows.size(0), rows_of_block(dim), [&](int64_t begin, int64_t count) {
    const auto moved = block(rows, begin, count, memory);
    const auto* data = moved.data_ptr<float>();
    for_each_row(count, [&](int64_t i) {
      const double norm = inner_product(data + i * dim, data + i * dim, dim);
      double slack = relative * norm + smallest;
      if (arithmetic_ == DistanceArithmetic::kHalf) {
        const float* row = rows.data_ptr<float>() + (begin + i) * dim;
        slack += unit() * (kHalfSteps * inner_product(row, row, dim) + smallest_half);
      }
      side.low[begin + i] = norm - slack;
      side.high[begin + i] = norm + slack;
    });
  });
  return side;
}

}  // namespace ddpm_eval::metrics::detail
