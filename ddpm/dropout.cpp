#include "ddpm/dropout.h"

#include "base/core/error.h"
#include "base/core/seeds.h"
#include "base/tensor/derivative.h"
#include "base/tensor/noise.h"
#include "base/tensor/shape.h"
#include "ddpm/dropout_kernel.h"
#include "ddpm/gpu_layers.h"

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

namespace ddpm_eval::ddpm {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kDropoutGrain = 32768;

/// `x` in channels-last order, `kept` in the same order in memory.
template <class Number>
at::Tensor scaled_where_kept(const at::Tensor& x, const at::Tensor& kept, double factor) {
  at::Tensor y = torch::empty_like(x);
  const auto* from = static_cast<const Number*>(x.data_ptr());
  auto* to = static_cast<Number*>(y.data_ptr());
  const auto* keep = kept.data_ptr<bool>();
  at::parallel_for(0, x.numel(), kDropoutGrain, [&](int64_t begin, int64_t end) {
    detail::scale_kept(end - begin, from + begin, keep + begin, static_cast<float>(factor), to + begin);
  });
  return y;
}

at::Tensor apply_mask(const at::Tensor& x, const at::Tensor& kept, double factor) {
  return x.scalar_type() == torch::kBFloat16 ? scaled_where_kept<detail::Bf16>(x, kept, factor)
                                             : scaled_where_kept<float>(x, kept, factor);
}

struct FusedDropout : torch::autograd::Function<FusedDropout> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& kept,
                            double factor) {
    context->save_for_backward({kept});
    context->saved_data["factor"] = factor;
    return apply_mask(x, kept, factor);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    tensor::refuse_second_derivative("dropout");
    const auto kept = context->get_saved_variables()[0];
    const auto dy = gradients[0].contiguous(torch::MemoryFormat::ChannelsLast);
    return {apply_mask(dy, kept, context->saved_data["factor"].toDouble()), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor dropout(const at::Tensor& x, double rate, const TrainingPass& pass, const std::string& purpose,
                   const at::Tensor& given_place) {
  if (suits_gpu_kernels(x)) {
    const auto place =
        given_place.defined() ? given_place : mask_place(pass.first_row, pass.step, x.device());
    return dropout_on_gpu(x, rate, {core::stream_key(pass.seed, purpose), place});
  }
  DDPM_CHECK(!given_place.defined(), "a mask of another step's replay for {}", tensor::describe(x));
  // Drawn as [n, h, w, c], the order in memory of x.
  const auto rows = tensor::index_range(pass.first_row, pass.first_row + x.size(0));
  const auto kept =
      tensor::keep_rows({pass.seed, purpose}, rows, pass.step, {x.size(2), x.size(3), x.size(1)}, rate);
  const double factor = 1 / (1 - rate);
  const bool fused = x.scalar_type() == torch::kFloat32 || x.scalar_type() == torch::kBFloat16;
  if (x.device().is_cpu() && fused && x.is_contiguous(torch::MemoryFormat::ChannelsLast)) {
    return FusedDropout::apply(x, kept, factor);
  }
  const auto mask = kept.to(x.device(), x.scalar_type()).permute({0, 3, 1, 2});
  // The factor is no number of bfloat16: it goes onto the product, which is rounded once.
  return (x * mask).mul_(factor);
}

}  // namespace ddpm_eval::ddpm
