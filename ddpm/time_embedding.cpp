#include "ddpm/time_embedding.h"

#include "base/core/error.h"

#include <cmath>

#include <torch/types.h>

namespace ddpm_eval::ddpm {

at::Tensor time_embedding(const at::Tensor& t, int64_t dim) {
  DDPM_CHECK(dim >= 4 && dim % 2 == 0, "a time embedding of {} dimensions", dim);
  const int64_t half = dim / 2;
  const auto exponents = torch::arange(half, t.options().dtype(torch::kFloat64)) *
                         (-std::log(10000.0) / static_cast<double>(half - 1));
  const auto angles = t.to(torch::kFloat64).unsqueeze(1) * exponents.exp().unsqueeze(0);
  return torch::cat({angles.sin(), angles.cos()}, 1).to(torch::kFloat32);
}

}  // namespace ddpm_eval::ddpm
