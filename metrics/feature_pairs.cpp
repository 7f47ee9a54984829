#include "metrics/feature_pairs.h"

#include "base/core/error.h"
#include "base/tensor/product.h"
#include "base/tensor/shape.h"

#include <algorithm>

#include <torch/types.h>

namespace ddpm_eval::metrics::detail {
namespace {

/// In parts, because LibTorch's check of a whole set would need several times its memory.
bool rows_finite(const at::Tensor& rows) {
  bool finite = true;
  for_each_block(rows.size(0), rows_of_block(rows.size(1)), [&](int64_t begin, int64_t count) {
    finite = finite && at::isfinite(rows.narrow(0, begin, count)).all().item<bool>();
  });
  return finite;
}

void require_finite(const at::Tensor& rows, const char* name) {
  if (!rows_finite(rows)) {
    throw core::DataError("the {}features hold NaN or infinity: the weights or the images are damaged", name);
  }
}

void require_cpu(const at::Tensor& rows) {
  DDPM_CHECK(rows.device().is_cpu(), "features are compared on the CPU");
}

}  // namespace

void check_features(const at::Tensor& real, const at::Tensor& fake, int64_t least, std::string_view metric) {
  tensor::expect(real, at::kFloat, {-1, -1}, "real features");
  tensor::expect(fake, at::kFloat, {-1, -1}, "fake features");
  require_cpu(real);
  require_cpu(fake);
  if (real.size(1) != fake.size(1)) {
    throw core::DataError("the real side has {} features and the fake side {}", real.size(1), fake.size(1));
  }
  if (real.size(1) == 0) {
    throw core::DataError("there are images, but no features of them");
  }
  if (real.size(0) < least || fake.size(0) < least) {
    throw core::DataError(
        "{} needs at least {} images on each side, and there are {} real and {} fake ones: score more images",
        metric, least, real.size(0), fake.size(0));
  }
  require_finite(real, "real ");
  require_finite(fake, "fake ");
}

void check_features(const at::Tensor& features, int64_t least, std::string_view metric) {
  tensor::expect(features, at::kFloat, {-1, -1}, "features");
  require_cpu(features);
  if (features.size(1) == 0) {
    throw core::DataError("there are images, but no features of them");
  }
  if (features.size(0) < least) {
    throw core::DataError("{} needs at least {} images, and there are {}: score more images", metric, least,
                          features.size(0));
  }
  require_finite(features, "");
}

int64_t rows_of_block(int64_t dim) {
  constexpr int64_t kMost = 2048;                 // products of float32: 17 MB
  constexpr int64_t kNumbers = int64_t{1} << 23;  // a block of features: 34 MB
  constexpr int64_t kStep = 64;
  return std::clamp(kNumbers / std::max<int64_t>(dim, 1) / kStep * kStep, kStep, kMost);
}

at::Tensor sum_of_rows(const at::Tensor& rows) {
  auto sum = torch::zeros({rows.size(1)}, torch::kFloat64);
  for_each_block(rows.size(0), rows_of_block(rows.size(1)), [&](int64_t begin, int64_t count) {
    sum += rows.narrow(0, begin, count).to(torch::kFloat64).sum(0);
  });
  return sum;
}

at::Tensor mean_of_rows(const at::Tensor& one, const at::Tensor& other) {
  return (sum_of_rows(one) + sum_of_rows(other)) / static_cast<double>(one.size(0) + other.size(0));
}

at::Tensor rows_of(at::Tensor& memory, int64_t rows, int64_t dim) {
  if (memory.numel() < rows * dim) {
    memory = torch::empty({rows * dim}, memory.options());
  }
  return memory.narrow(0, 0, rows * dim).view({rows, dim});
}

at::Tensor inner_products(const at::Tensor& x, const at::Tensor& y, at::Tensor& memory) {
  auto products = rows_of(memory, x.size(0), y.size(0));
  if (x.scalar_type() == torch::kFloat32 && tensor::has_multiply()) {
    tensor::multiply(x.size(0), x.size(1), y.size(0), 1.0F, {x.data_ptr<float>(), x.size(1)},
                     {y.data_ptr<float>(), y.size(1), tensor::Operand::kTransposed},
                     products.data_ptr<float>(), y.size(0));
  } else {
    at::mm_out(products, x, y.t());
  }
  return products;
}

int64_t pairs_of_one_set(int64_t rows, int64_t size) {
  int64_t pairs = 0;
  for_each_block(rows, size, [&](int64_t begin, int64_t count) { pairs += count * (rows - begin); });
  return pairs;
}

}  // namespace ddpm_eval::metrics::detail
