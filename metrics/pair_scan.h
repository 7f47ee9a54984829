#pragma once

#include "metrics/row_kernels.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include <ATen/Parallel.h>

// Private to metrics: finds the pairs of a block of products that may be nearer than a limit.
namespace ddpm_eval::metrics::detail {

/// A block of products with the bounds of its rows and columns.
struct Block {
  const float* products;
  int64_t rows, columns;
  const double *row_low, *row_high, *column_low, *column_high;

  double product(int64_t i, int64_t j) const { return double{products[i * columns + j]}; }
  double low(int64_t i, int64_t j) const { return row_low[i] + column_low[j] - 2.0 * product(i, j); }
  double high(int64_t i, int64_t j) const { return row_high[i] + column_high[j] - 2.0 * product(i, j); }
};

/// The parts of the thresholds of products below which low(i, j) is above a limit: they belong to a row or a
/// column, one of which has the limit, and are added up.
inline float threshold(double low, double limit = 0.0) { return static_cast<float>((low - limit) / 2.0); }

inline std::vector<float> thresholds(const double* low, int64_t count) {
  std::vector<float> parts(static_cast<size_t>(count));
  std::transform(low, low + count, parts.begin(), [](double one) { return threshold(one); });
  return parts;
}

/// Calls visit(i, j) where the product reaches by_column[j] + by_row(i). A row is one thread's.
template <class ByRow, class Visit>
void scan_rows(const Block& block, const std::vector<float>& by_column, const ByRow& by_row,
               const Visit& visit) {
  constexpr int64_t kGrain = 16;
  at::parallel_for(0, block.rows, kGrain, [&](int64_t begin, int64_t end) {
    std::vector<int32_t> places(static_cast<size_t>(block.columns));
    for (int64_t i = begin; i < end; ++i) {
      const int64_t found = find_reaching(block.products + i * block.columns, by_column.data(), by_row(i),
                                          block.columns, places.data());
      for (int64_t p = 0; p < found; ++p) {
        visit(i, int64_t{places[p]});
      }
    }
  });
}

/// Calls work(first, count) for parts of the columns, each of which is one thread's.
template <class Work>
void for_column_parts(int64_t columns, const Work& work) {
  constexpr int64_t kPart = 64;
  at::parallel_for(0, (columns + kPart - 1) / kPart, 1, [&](int64_t begin, int64_t end) {
    work(begin * kPart, std::min(columns, end * kPart) - begin * kPart);
  });
}

/// As scan_rows(), but a column is one thread's.
template <class ByRow, class Visit>
void scan_columns(const Block& block, const std::vector<float>& by_column, const ByRow& by_row,
                  const Visit& visit) {
  for_column_parts(block.columns, [&](int64_t first, int64_t count) {
    std::vector<int32_t> places(static_cast<size_t>(count));
    for (int64_t i = 0; i < block.rows; ++i) {
      const int64_t found = find_reaching(block.products + i * block.columns + first,
                                          by_column.data() + first, by_row(i), count, places.data());
      for (int64_t p = 0; p < found; ++p) {
        visit(i, first + int64_t{places[p]});
      }
    }
  });
}

}  // namespace ddpm_eval::metrics::detail
