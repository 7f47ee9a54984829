#include "ddpm/table_values.h"

#include "base/core/error.h"
#include "base/tensor/send.h"

#include <torch/types.h>

namespace ddpm_eval::ddpm {

namespace {

template <class Real>
void look_up(std::span<const double> table, const at::Tensor& t, at::Tensor& values) {
  const auto* index = t.data_ptr<int64_t>();
  auto* out = values.data_ptr<Real>();
  for (int64_t i = 0; i < t.numel(); ++i) {
    DDPM_CHECK(index[i] >= 0 && index[i] < static_cast<int64_t>(table.size()), "t = {} is outside 0..{}",
               index[i], table.size() - 1);
    out[i] = static_cast<Real>(table[static_cast<size_t>(index[i])]);
  }
}

}  // namespace

at::Tensor values_at(std::span<const double> table, const at::Tensor& t, const at::Tensor& like) {
  const at::Tensor t_cpu = t.to(torch::kCPU).contiguous();
  std::vector<int64_t> shape(static_cast<size_t>(like.dim()), 1);
  shape[0] = t_cpu.numel();
  if (like.scalar_type() == torch::kFloat32) {
    at::Tensor values = torch::empty(shape, torch::kFloat32);
    look_up<float>(table, t_cpu, values);
    return tensor::send(values, like.device());
  }
  at::Tensor values = torch::empty(shape, torch::kFloat64);
  look_up<double>(table, t_cpu, values);
  return tensor::send(values.to(like.scalar_type()), like.device());
}

}  // namespace ddpm_eval::ddpm
