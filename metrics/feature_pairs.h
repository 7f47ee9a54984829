#pragma once

#include "metrics/point_distances.h"

#include <cstdint>
#include <string_view>

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

// Private to metrics: all pairs of two sets of features, block by block, in memory that does not grow with
// the sets.
namespace ddpm_eval::metrics::detail {

/// Throws LogicError unless both are float32 [., .] on the CPU, and DataError for fewer than `least` rows on
/// a side, differing dimensions or none, NaN or infinity. `metric` begins the message about too few rows:
/// "precision and recall by 3 neighbours".
void check_features(const at::Tensor& real, const at::Tensor& fake, int64_t least, std::string_view metric);

/// The same of one set.
void check_features(const at::Tensor& features, int64_t least, std::string_view metric);

/// As many rows as a block has: fewer where a row is long. A multiple of 64.
int64_t rows_of_block(int64_t dim);

/// Calls work(begin, count) for the blocks of `size` rows in turn.
template <class Work>
void for_each_block(int64_t rows, int64_t size, const Work& work) {
  for (int64_t begin = 0; begin < rows; begin += size) {
    work(begin, rows - begin < size ? rows - begin : size);
  }
}

/// Calls work(i) for the rows, some of them at a time on each thread.
template <class Work>
void for_each_row(int64_t rows, const Work& work) {
  constexpr int64_t kGrain = 16;
  at::parallel_for(0, rows, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      work(i);
    }
  });
}

/// The sum of all rows, float64 [d], without a float64 copy of the set.
at::Tensor sum_of_rows(const at::Tensor& rows);

/// The mean of all rows of both sets, float64 [d].
at::Tensor mean_of_rows(const at::Tensor& one, const at::Tensor& other);

/// [rows of x, rows of y] of inner products, in memory that is used again and again: `memory` is flat and of
/// the same dtype as x and y, float32 or float64, and grows where it has to.
at::Tensor inner_products(const at::Tensor& x, const at::Tensor& y, at::Tensor& memory);

/// The first `rows` rows of `memory`, [rows, dim], which grows where it has to.
at::Tensor rows_of(at::Tensor& memory, int64_t rows, int64_t dim);

/// Tells how many of all pairs are done.
class PairProgress {
 public:
  PairProgress(int64_t total, const DistanceProgress& progress) : total_(total), progress_(progress) {}

  void add(int64_t pairs) {
    done_ += pairs;
    if (progress_) {
      progress_(done_, total_);
    }
  }

 private:
  int64_t done_ = 0;
  int64_t total_;
  const DistanceProgress& progress_;
};

/// Pairs in the blocks on and above the diagonal of `rows` by `rows` in blocks of `size`: what a pass over
/// one set works on.
int64_t pairs_of_one_set(int64_t rows, int64_t size);

}  // namespace ddpm_eval::metrics::detail
