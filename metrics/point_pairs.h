#pragma once

#include <algorithm>
#include <cstdint>

#include <torch/types.h>

// Private to metrics: all pairs of two sets of points, block by block, in memory that does not grow with the
// sets.
namespace ddpm_eval::metrics::detail {

/// Throws LogicError unless both are float32 [., .], and DataError for fewer than `least` points on a side,
/// differing dimensions, NaN or infinity.
void check_points(const at::Tensor& real, const at::Tensor& fake, int64_t least);

/// The same of one set, named by `side`: "fake".
void check_points(const at::Tensor& points, const char* side);

/// Calls consume(first row, distances) with the distances, float64, between some rows of x and all of y, both
/// float64, until every pair was there.
template <class Consume>
void for_all_distances(const at::Tensor& x, const at::Tensor& y, const Consume& consume) {
  constexpr int64_t kPairs = int64_t{1} << 22;  // 33 MB of float64 at a time
  const int64_t rows = std::max<int64_t>(1, kPairs / y.size(0));
  // 2: never by way of |x|^2 + |y|^2 - 2 x.y, which cancels for near points.
  constexpr int64_t kDirect = 2;
  for (int64_t begin = 0; begin < x.size(0); begin += rows) {
    const auto block = x.narrow(0, begin, std::min(rows, x.size(0) - begin));
    consume(begin, at::cdist(block, y, 2.0, kDirect));
  }
}

}  // namespace ddpm_eval::metrics::detail
