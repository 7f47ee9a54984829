#include "ddpm/table_values.h"

#include "base/core/error.h"

#include <torch/types.h>

namespace ddpm_eval::ddpm {

at::Tensor values_at(std::span<const double> table, const at::Tensor& t, const at::Tensor& like) {
  const at::Tensor t_cpu = t.to(torch::kCPU).contiguous();
  const auto* index = t_cpu.data_ptr<int64_t>();
  at::Tensor values = torch::empty(t_cpu.sizes(), torch::kFloat64);
  auto* out = values.data_ptr<double>();
  for (int64_t i = 0; i < t_cpu.numel(); ++i) {
    DDPM_CHECK(index[i] >= 0 && index[i] < static_cast<int64_t>(table.size()), "t = {} is outside 0..{}",
               index[i], table.size() - 1);
    out[i] = table[static_cast<size_t>(index[i])];
  }
  std::vector<int64_t> shape(static_cast<size_t>(like.dim()), 1);
  shape[0] = t_cpu.numel();
  return values.view(shape).to(like.device(), like.scalar_type());
}

}  // namespace ddpm_eval::ddpm
