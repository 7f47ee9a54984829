#pragma once

#include "metrics/neighbours.h"

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

// Private to metrics: which pairs of rows are near, and how near exactly. The products of one matrix
// multiplication bound every squared distance; the few pairs for which the bounds leave a question open are
// worked out from their rows. So float32 products decide nothing, whatever they round to.
namespace ddpm_eval::metrics::detail {

/// Squared distances between row i of one set and row j of another, or of the same, both float32 [., d] and
/// without gaps. The bits depend on the two rows alone and, by kFloat64, not on which comes first.
class PairDistance {
 public:
  PairDistance(const at::Tensor& x, const at::Tensor& y, DistanceArithmetic arithmetic);

  double operator()(int64_t i, int64_t j) const;

 private:
  struct Rows {
    at::Tensor tensor;
    const float* data;
    std::vector<float> norms;    ///< squared, in half precision; empty by kFloat64
    std::vector<char> too_long;  ///< of ADM's batches of 10,000 rows: whether one is beyond half precision
  };
  static Rows prepared(const at::Tensor& rows, DistanceArithmetic arithmetic);

  DistanceArithmetic arithmetic_;
  int64_t dim_;
  Rows x_, y_;
};

/// Bounds on what PairDistance says, from products g of rows that were moved by the mean of all and, where
/// they are far from 1, scaled by a power of two:
///
///   low_i + low_j - 2 g  <=  unit() * squared distance  <=  high_i + high_j - 2 g
///
/// The bounds hold for products summed up in any order. For a float32 sum of d products the error is at most
/// d u / (1 - d u) times the sum of their magnitudes (Higham 2002, section 3.1; u = 2^-24), and that is at
/// most half of |x_i|^2 + |x_j|^2.
class DistanceBounds {
 public:
  /// For pairs within `one` and `other` or between them; they may be the same.
  DistanceBounds(const at::Tensor& one, const at::Tensor& other, DistanceArithmetic arithmetic);

  /// The parts of the bounds that belong to each row.
  struct Side {
    std::vector<double> low, high;
  };
  Side side(const at::Tensor& rows) const;

  /// The rows that are to be multiplied, in `memory`.
  at::Tensor block(const at::Tensor& rows, int64_t begin, int64_t count, at::Tensor& memory) const;

  double unit() const { return double{scale_} * double{scale_}; }

 private:
  DistanceArithmetic arithmetic_;
  float scale_ = 1.0F;
  at::Tensor centre_;  ///< float32 [d], scaled
};

}  // namespace ddpm_eval::metrics::detail
