#include "metrics/memorization.h"

#include "base/core/error.h"
#include "metrics/feature_pairs.h"
#include "metrics/row_kernels.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <vector>

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

  /// Rows of length 1, float32 or float64 as `memory` is, which they lie in.
  at::Tensor units(int64_t begin, int64_t count, at::Tensor& memory) const {
    auto block = detail::rows_of(memory, count, rows_.size(1));
    block.copy_(rows_.narrow(0, begin, count));
    return block.div_(lengths_.narrow(0, begin, count).to(block.scalar_type()).unsqueeze(1));
  }

 private:
  at::Tensor rows_;     ///< float32 [., d] without gaps
  at::Tensor lengths_;  ///< float64 [.]
};

/// Of each real image the largest |cos| to a fake one.
class NearestCosines {
 public:
  NearestCosines(const at::Tensor& real, const at::Tensor& fake)
      : reals_(real, "real"),
        fakes_(fake, "fake"),
        dim_(real.size(1)),
        slack_(static_cast<double>(real.size(1) + 8) * 0x1p-24),
        largest_(static_cast<size_t>(reals_.count()), 0.0),
        least_(largest_) {}

  double mean_distance(const DistanceProgress& progress) {
    const int64_t size = detail::rows_of_block(dim_);
    detail::PairProgress pairs(reals_.count() * fakes_.count(), progress);
    detail::for_each_block(reals_.count(), size, [&](int64_t row, int64_t height) {
      detail::for_each_block(fakes_.count(), size, [&](int64_t column, int64_t width) {
        look_into({row, height, column, width});
        pairs.add(height * width);
      });
    });
    double sum = 0.0;
    for (const double one : largest_) {
      sum += std::max(0.0, 1.0 - one);
    }
    return sum / static_cast<double>(reals_.count());
  }

 private:
  struct Place {
    int64_t row, height, column, width;
  };
  struct Memory {
    explicit Memory(at::ScalarType dtype) : x(torch::empty({0}, dtype)), y(x.clone()), products(x.clone()) {}
    at::Tensor x, y, products;
  };

  at::Tensor cosines(const Place& place, Memory& memory) const {
    return detail::inner_products(reals_.units(place.row, place.height, memory.x),
                                  fakes_.units(place.column, place.width, memory.y), memory.products);
  }

  void look_into(const Place& place) {
    constexpr int64_t kMostCandidates = 32;  // of a row, on average
    const auto products = cosines(place, single_);
    const auto* all = products.data_ptr<float>();
    std::atomic<int64_t> candidates = 0;
    detail::for_each_row(place.height, [&](int64_t i) {
      const float* row = all + i * place.width;
      float most = 0.0F;
      for (int64_t j = 0; j < place.width; ++j) {
        most = std::max(most, std::abs(row[j]));
      }
      const double least = std::max(double{most} - slack_, largest_[place.row + i]) - slack_;
      candidates += std::count_if(row, row + place.width, [&](float one) { return std::abs(one) >= least; });
      least_[place.row + i] = least;
    });
    if (candidates > kMostCandidates * place.height) {
      multiply_again(place);
      return;
    }
    detail::for_each_row(place.height, [&](int64_t i) {
      const int64_t real = place.row + i;
      for (int64_t j = 0; j < place.width; ++j) {
        if (std::abs(all[i * place.width + j]) >= least_[real]) {
          const int64_t fake = place.column + j;
          const double product = detail::inner_product(reals_.row(real), fakes_.row(fake), dim_);
          raise(real, std::abs(product) / (reals_.length(real) * fakes_.length(fake)));
        }
      }
    });
  }

  /// In float64.
  void multiply_again(const Place& place) {
    const auto products = cosines(place, double_);
    const auto* all = products.data_ptr<double>();
    detail::for_each_row(place.height, [&](int64_t i) {
      for (int64_t j = 0; j < place.width; ++j) {
        raise(place.row + i, std::abs(all[i * place.width + j]));
      }
    });
  }

  void raise(int64_t real, double cosine) { largest_[real] = std::max(largest_[real], cosine); }

  Directions reals_, fakes_;
  int64_t dim_;
  double slack_;  ///< of products of unit rows that were rounded, in any order (Higham 2002, section 3.1)
  std::vector<double> largest_;
  std::vector<double> least_;  ///< what a product must be that may be the largest
  Memory single_{torch::kFloat32}, double_{torch::kFloat64};
};

}  // namespace

double nearest_cosine_distance(const at::Tensor& real, const at::Tensor& fake,
                               const DistanceProgress& progress) {
  detail::check_features(real, fake, 1, "a distance to the nearest image");
  return NearestCosines(real, fake).mean_distance(progress);
}

double memorization_informed_distance(double frechet, double distance) {
  constexpr double kSmall = 1e-8, kNever0 = 1e-14;
  return frechet > kSmall ? frechet / ((distance < kMemorizationThreshold ? distance : 1.0) + kNever0) : 0.0;
}

}  // namespace ddpm_eval::metrics
