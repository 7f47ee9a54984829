#pragma once

#include "metrics/feature_pairs.h"
#include "metrics/neighbours.h"

#include <cstdint>
#include <limits>
#include <vector>

#include <torch/types.h>

// Private to metrics: the nearest neighbours of every image in its own set.
namespace ddpm_eval::metrics::detail {

/// The memory of two blocks and of their products.
struct Workspace {
  at::Tensor x = torch::empty({0}, torch::kFloat32);
  at::Tensor y = torch::empty({0}, torch::kFloat32);
  at::Tensor products = torch::empty({0}, torch::kFloat32);
};

/// The distances of each row of a set to its k nearest neighbours: squared, ascending.
class NearestLists {
 public:
  NearestLists(int64_t rows, int64_t k)
      : k_(k), values_(static_cast<size_t>(rows * k), std::numeric_limits<double>::infinity()) {}

  /// Infinity as long as there were fewer.
  double nearest(int64_t row) const { return values_[row * k_]; }
  double farthest(int64_t row) const { return values_[(row + 1) * k_ - 1]; }

  /// `distance` joins the list if it is among the k smallest so far.
  void offer(int64_t row, double distance);

 private:
  int64_t k_;
  std::vector<double> values_;
};

/// The lists of all rows of float32 [n, d] without gaps, in blocks of `size` rows.
NearestLists nearest_within(const at::Tensor& rows, const NeighbourRule& rule, int64_t size,
                            Workspace& memory, PairProgress& progress);

}  // namespace ddpm_eval::metrics::detail
