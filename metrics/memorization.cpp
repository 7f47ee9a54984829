#include "metrics/memorization.h"

#include "base/core/error.h"
#include "metrics/feature_pairs.h"
#include "metrics/row_kernels.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <ATen/Parallel.h>
#include <torch/types.h>

namespace ddpm_eval::metrics {
namespace {

/// The rows of a set that are not 0.
class Directions {
 public:
  Directions(const at::Tensor& features, const char* side) : rows_(features.contiguous()) {
    auto all = torch::empty({features.size(0)}, torch::kFloat64);
    for (int64_t i = 0; i < features.size(0); ++i) {
      all.data_ptr<double>()[i] = std::sqrt(detail::inner_product(row(i), row(i), rows_.size(1)));
    }
    const auto kept = (all > 0).nonzero().squeeze(1);
    if (kept.size(0) == 0) {
      throw core::DataError("the {} features are all 0, which point in no direction", side);
    }
    if (kept.size(0) < features.size(0)) {
      rows_ = rows_.index_select(0, kept);
      all = all.index_select(0, kept);
    }
    lengths_ = all;
  }

  int64_t count() const { return rows_.size(0); }
  const float* row(int64_t i) const { return rows_.data_ptr<float>() + i * rows_.size(1); }
  double length(int64_t i) const { return lengths_.data_ptr<double>()[i]; }

  /// Rows of length 1, rounded to float32, in `memory`.
  at::Tensor units(int64_t begin, int64_t count, at::Tensor& memory) const {
    auto block = detail::rows_of(memory, count, rows_.size(1));
    at::div_out(block, rows_.narrow(0, begin, count),
                lengths_.narrow(0, begin, count).to(torch::kFloat32).unsqueeze(1));
    return block;
  }

 private:
  at::Tensor rows_;     ///< float32 [., d] without gaps
  at::Tensor lengths_;  ///< float64 [.]
};

}  // namespace

double nearest_cosine_distance(const at::Tensor& real, const at::Tensor& fake,
                               const DistanceProgress& progress) {
  detail::check_features(real, fake, 1, "a distance to the nearest image");
  const int64_t dim = real.size(1), size = detail::rows_of_block(dim);
  const Directions reals(real, "real"), fakes(fake, "fake");
  // Of products of unit rows that were rounded, summed up in any order (Higham 2002, section 3.1).
  const auto slack = static_cast<double>(dim + 8) * 0x1p-24;
  std::vector<double> largest(static_cast<size_t>(reals.count()), 0.0);
  auto x = torch::empty({0}, torch::kFloat32), y = torch::empty_like(x), memory = torch::empty_like(x);
  detail::PairProgress pairs(reals.count() * fakes.count(), progress);
  const auto look_at_row = [&](int64_t i, const float* cosines, int64_t column, int64_t width) {
    double& best = largest[i];
    float most = 0.0F;
    for (int64_t j = 0; j < width; ++j) {
      most = std::max(most, std::abs(cosines[j]));
    }
    const double least = std::max(most - slack, best) - slack;
    for (int64_t j = 0; j < width; ++j) {
      if (std::abs(cosines[j]) >= least) {
        const double product = detail::inner_product(reals.row(i), fakes.row(column + j), dim);
        best = std::max(best, std::abs(product) / (reals.length(i) * fakes.length(column + j)));
      }
    }
  };
  detail::for_each_block(reals.count(), size, [&](int64_t row, int64_t height) {
    const auto of_real = reals.units(row, height, x);
    detail::for_each_block(fakes.count(), size, [&](int64_t column, int64_t width) {
      const auto products = detail::inner_products(of_real, fakes.units(column, width, y), memory);
      const auto* cosines = products.data_ptr<float>();
      at::parallel_for(0, height, 16, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          look_at_row(row + i, cosines + i * width, column, width);
        }
      });
      pairs.add(height * width);
    });
  });
  double sum = 0.0;
  for (const double one : largest) {
    sum += std::max(0.0, 1.0 - one);
  }
  return sum / static_cast<double>(reals.count());
}

double memorization_informed_distance(double frechet, double distance) {
  constexpr double kSmall = 1e-8, kNever0 = 1e-14;
  return frechet > kSmall ? frechet / ((distance < kMemorizationThreshold ? distance : 1.0) + kNever0) : 0.0;
}

}  // namespace ddpm_eval::metrics
