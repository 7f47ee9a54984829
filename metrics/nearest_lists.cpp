#include "metrics/nearest_lists.h"

#include "metrics/pair_distance.h"
#include "metrics/pair_scan.h"

#include <algorithm>
#include <utility>

namespace ddpm_eval::metrics::detail {
namespace {

constexpr double kUnbounded = std::numeric_limits<double>::infinity();

/// The k nearest neighbours within one set.
class WithinOneSet {
 public:
  WithinOneSet(const at::Tensor& rows, const NeighbourRule& rule)
      : rows_(rows),
        k_(rule.k),
        distance_(rows, rows, rule.arithmetic),
        bounds_(rows, rows, rule.arithmetic),
        side_(bounds_.side(rows)),
        lists_(rows.size(0), rule.k),
        limits_(static_cast<size_t>(rows.size(0)), kUnbounded) {}

  NearestLists run(int64_t size, Workspace& memory, PairProgress& progress) {
    const int64_t count = rows_.size(0);
    // The diagonal first: it gives every row a limit that is small already, which the other blocks, looked at
    // by their rows and by their columns, seldom get below.
    for_each_block(count, size, [&](int64_t begin, int64_t height) {
      const auto x = bounds_.block(rows_, begin, height, memory.x);
      work_on_diagonal(block_of(x, x, begin, begin, memory), begin);
      progress.add(height * height);
    });
    for_each_block(count, size, [&](int64_t begin, int64_t height) {
      const auto x = bounds_.block(rows_, begin, height, memory.x);
      for (int64_t other = begin + size; other < count; other += size) {
        const int64_t width = std::min(size, count - other);
        const auto y = bounds_.block(rows_, other, width, memory.y);
        work_off_diagonal(block_of(x, y, begin, other, memory), begin, other);
        progress.add(height * width);
      }
    });
    return std::move(lists_);
  }

 private:
  Block block_of(const at::Tensor& x, const at::Tensor& y, int64_t row, int64_t column, Workspace& memory) {
    const auto products = inner_products(x, y, memory.products);
    return {products.data_ptr<float>(), products.size(0),        products.size(1),
            side_.low.data() + row,     side_.high.data() + row, side_.low.data() + column,
            side_.high.data() + column};
  }

  /// Row `i` of all may still have `other` among its neighbours, if that is at least `low` away.
  void consider(int64_t i, int64_t other, double low) {
    // Nothing is nearer than a copy.
    if (limits_[i] > 0.0 && !(low > limits_[i] * bounds_.unit())) {
      lists_.offer(i, distance_(i, other));
      limits_[i] = std::min(limits_[i], lists_.farthest(i));
    }
  }

  float by_limit(int64_t i) const {
    return limits_[i] > 0.0 ? threshold(side_.low[i], limits_[i] * bounds_.unit())
                            : std::numeric_limits<float>::infinity();
  }

  void work_on_diagonal(const Block& block, int64_t begin) {
    if (block.rows > k_) {
      // The k-th smallest upper bound is one of the k-th smallest distance.
      at::parallel_for(0, block.rows, 1, [&](int64_t first, int64_t last) {
        std::vector<double> high(static_cast<size_t>(block.columns));
        for (int64_t i = first; i < last; ++i) {
          for (int64_t j = 0; j < block.columns; ++j) {
            high[j] = j == i ? kUnbounded : block.high(i, j);
          }
          std::nth_element(high.begin(), high.begin() + (k_ - 1), high.end());
          limits_[begin + i] = high[k_ - 1] / bounds_.unit();
        }
      });
    }
    scan_rows(
        block, thresholds(block.column_low, block.columns), [&](int64_t i) { return by_limit(begin + i); },
        [&](int64_t i, int64_t j) {
          if (i != j) {
            consider(begin + i, begin + j, block.low(i, j));
          }
        });
  }

  void work_off_diagonal(const Block& block, int64_t row, int64_t column) {
    scan_rows(
        block, thresholds(block.column_low, block.columns), [&](int64_t i) { return by_limit(row + i); },
        [&](int64_t i, int64_t j) { consider(row + i, column + j, block.low(i, j)); });
    std::vector<float> by_column(static_cast<size_t>(block.columns));
    for (int64_t j = 0; j < block.columns; ++j) {
      by_column[j] = by_limit(column + j);
    }
    scan_columns(
        block, by_column, [&](int64_t i) { return threshold(block.row_low[i]); },
        [&](int64_t i, int64_t j) { consider(column + j, row + i, block.low(i, j)); });
  }

  at::Tensor rows_;
  int64_t k_;
  PairDistance distance_;
  DistanceBounds bounds_;
  DistanceBounds::Side side_;
  NearestLists lists_;
  std::vector<double> limits_;  ///< nothing farther is among a row's k nearest
};

}  // namespace

void NearestLists::offer(int64_t row, double distance) {
  double* list = values_.data() + row * k_;
  int64_t place = k_;
  for (; place > 0 && distance < list[place - 1]; --place) {
    if (place < k_) {
      list[place] = list[place - 1];
    }
  }
  if (place < k_) {
    list[place] = distance;
  }
}

NearestLists nearest_within(const at::Tensor& rows, const NeighbourRule& rule, int64_t size,
                            Workspace& memory, PairProgress& progress) {
  return WithinOneSet(rows, rule).run(size, memory, progress);
}

}  // namespace ddpm_eval::metrics::detail
