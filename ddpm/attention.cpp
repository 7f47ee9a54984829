#include "ddpm/attention.h"

#include "base/tensor/derivative.h"
#include "base/tensor/product.h"
#include "ddpm/attention_kernel.h"

#include <cmath>
#include <vector>

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

namespace ddpm_eval::ddpm {
namespace {

using tensor::MatrixView;
using tensor::multiply;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr auto kTurned = tensor::Operand::kTransposed;

/// The sizes of [n, positions, 3 channels].
struct AttentionShape {
  explicit AttentionShape(const at::Tensor& qkv)
      : images(qkv.size(0)),
        positions(qkv.size(1)),
        channels(qkv.size(2) / 3),
        stride(qkv.size(2)),
        scale(1 / std::sqrt(static_cast<float>(channels))) {}

  int64_t images, positions, channels, stride;
  float scale;
};

struct FusedAttention : torch::autograd::Function<FusedAttention> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& qkv) {
    const AttentionShape s(qkv);
    const int64_t p = s.positions, c = s.channels;
    at::Tensor weights = torch::empty({s.images, p, p}, torch::kFloat32);
    at::Tensor mixed = torch::empty({s.images, p, c}, torch::kFloat32);
    const auto* from = qkv.data_ptr<float>();
    auto *to_weights = weights.data_ptr<float>(), *to_mixed = mixed.data_ptr<float>();
    at::parallel_for(0, s.images, 1, [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) {
        const float *q = from + n * p * s.stride, *k = q + c, *v = k + c;
        float* w = to_weights + n * p * p;
        multiply(p, c, p, s.scale, {q, s.stride}, {k, s.stride, kTurned}, w, p);
        detail::softmax_rows(p, p, w);
        multiply(p, p, c, 1, {w, p}, {v, s.stride}, to_mixed + n * p * c, c);
      }
    });
    context->save_for_backward({qkv, weights});
    return mixed;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    tensor::refuse_second_derivative("attention");
    const auto saved = context->get_saved_variables();
    const at::Tensor &qkv = saved[0], &weights = saved[1];
    const AttentionShape s(qkv);
    const int64_t p = s.positions, c = s.channels;
    const at::Tensor dmixed = gradients[0].contiguous();
    at::Tensor dqkv = torch::empty_like(qkv);
    const auto *from = qkv.data_ptr<float>(), *w_data = weights.data_ptr<float>(),
               *dm_data = dmixed.data_ptr<float>();
    auto* to = dqkv.data_ptr<float>();
    at::parallel_for(0, s.images, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> scratch(static_cast<size_t>(p * p));
      for (int64_t n = begin; n < end; ++n) {
        const float *q = from + n * p * s.stride, *k = q + c, *v = k + c;
        float *dq = to + n * p * s.stride, *dk = dq + c, *dv = dk + c;
        const float *w = w_data + n * p * p, *dm = dm_data + n * p * c;
        float* dw = scratch.data();
        multiply(p, p, c, 1, {w, p, kTurned}, {dm, c}, dv, s.stride);
        multiply(p, c, p, 1, {dm, c}, {v, s.stride, kTurned}, dw, p);
        detail::softmax_rows_gradient(p, p, w, dw);
        multiply(p, p, c, s.scale, {dw, p}, {k, s.stride}, dq, s.stride);
        multiply(p, p, c, s.scale, {dw, p, kTurned}, {q, s.stride}, dk, s.stride);
      }
    });
    return {dqkv};
  }
};

}  // namespace

at::Tensor attend(const at::Tensor& qkv) {
  const int64_t channels = qkv.size(2) / 3;
  if (tensor::has_multiply() && qkv.device().is_cpu() && qkv.scalar_type() == torch::kFloat32) {
    return FusedAttention::apply(qkv.contiguous());
  }
  const auto parts = qkv.chunk(3, 2);
  const auto wide = qkv.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  const at::Tensor scores = torch::bmm(parts[0], parts[1].transpose(1, 2)).to(wide);
  const double scale = 1 / std::sqrt(static_cast<double>(channels));
  const at::Tensor weights = torch::softmax(scores * scale, 2).to(qkv.scalar_type());
  return torch::bmm(weights, parts[2]);
}

}  // namespace ddpm_eval::ddpm
