#pragma once

#include <cstdint>
#include <functional>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::metrics {

/// Mean and covariance of a set of feature vectors.
struct Moments {
  at::Tensor mean;        ///< float64 [d]
  at::Tensor covariance;  ///< float64 [d, d], divided by count - 1
  int64_t count = 0;      ///< vectors behind it; 0: unknown, as in a statistics file
  at::Tensor centred;     ///< only for 2 <= count < d: float64 [count, d], (row - mean) / sqrt(count - 1)
};

/// Adds to `all` the vectors behind `part`, by the pairwise update of Chan, Golub & LeVeque (1979): the
/// moments of both sets together, up to rounding. Both have as many features and counts of at least 2;
/// `centred` goes.
void merge(Moments& all, const Moments& part);

/// Streaming moments in float64, in memory that does not depend on how many vectors there are: one d x d
/// matrix and max(d, 512) rows of float32. Rows are folded in fixed blocks by the pairwise update of Chan,
/// Golub & LeVeque (1979), so that the result depends on the order of the rows alone, bit for bit, not on how
/// callers cut them into batches. A common offset of the features costs no precision. All of it is done on
/// the device of the first rows that are added, and a GPU is not waited for before finish().
class MomentsAccumulator {
 public:
  explicit MomentsAccumulator(int64_t dim);

  /// Adds float32 [n, d], of any device; n may be 0.
  void add(const at::Tensor& features);

  /// Adds all that `other` (of the same d) has seen. The result differs from one pass over all rows by
  /// rounding alone.
  void merge(const MomentsAccumulator& other);

  int64_t count() const { return folded_.count + pending_count_; }
  int64_t dim() const { return dim_; }

  /// On the CPU. Throws DataError below two vectors, which have no covariance, and if a feature was NaN or
  /// infinite.
  Moments finish() const;

 private:
  /// Sums over the rows that are no longer kept: count, mean, and the upper triangle of the scatter matrix.
  struct Folded {
    int64_t count = 0;
    at::Tensor mean;
    at::Tensor scatter;
    void fold(const at::Tensor& rows);
    void add_block(const at::Tensor& block, int64_t block_count, const at::Tensor& block_mean);
  };

  at::Tensor pending_rows() const;
  Moments of_pending_rows() const;

  int64_t dim_;
  int64_t pending_count_ = 0;
  at::Tensor pending_;  ///< float32 [max(d, 512), d]: rows not yet folded; undefined before the first
  Folded folded_;
};

/// The moments of the rows of `features`, float32 [n, d], as an accumulator gives them; `between` is called
/// now and then. Throws as finish().
Moments moments_of(
    const at::Tensor& features, const std::function<void()>& between = [] {});

}  // namespace ddpm_eval::metrics
