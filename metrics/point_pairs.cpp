#include "metrics/point_pairs.h"

#include "base/core/error.h"
#include "base/tensor/shape.h"

namespace ddpm_eval::metrics::detail {

void check_points(const at::Tensor& points, const char* side) {
  if (!at::isfinite(points).all().item<bool>()) {
    throw core::DataError("the {} points hold NaN or infinity", side);
  }
}

void check_points(const at::Tensor& real, const at::Tensor& fake, int64_t least) {
  tensor::expect(real, at::kFloat, {-1, -1}, "real points");
  tensor::expect(fake, at::kFloat, {-1, -1}, "fake points");
  if (real.size(0) < least || fake.size(0) < least) {
    throw core::DataError(
        "this distance needs at least {} points on each side, and there are {} real and {} fake ones", least,
        real.size(0), fake.size(0));
  }
  if (real.size(1) != fake.size(1)) {
    throw core::DataError("the real points have {} coordinates and the fake ones {}", real.size(1),
                          fake.size(1));
  }
  check_points(real, "real");
  check_points(fake, "fake");
}

}  // namespace ddpm_eval::metrics::detail
