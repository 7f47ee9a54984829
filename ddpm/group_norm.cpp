#include "ddpm/group_norm.h"

#include "base/tensor/derivative.h"
#include "ddpm/gpu_layers.h"

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

namespace ddpm_eval::ddpm {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr double kEps = 1e-6;
constexpr auto kChannelsLast = torch::MemoryFormat::ChannelsLast;

detail::NormShape shape_of(const at::Tensor& x, int64_t groups) {
  return {.positions = x.size(2) * x.size(3), .channels = x.size(1), .groups = groups};
}

/// Calls `body` with a null pointer of the number type that the kernels have for `dtype`.
template <class Body>
void with_number(at::ScalarType dtype, const Body& body) {
  if (dtype == torch::kBFloat16) {
    body(static_cast<detail::Bf16*>(nullptr));
  } else {
    body(static_cast<float*>(nullptr));
  }
}

struct FusedGroupNorm : torch::autograd::Function<FusedGroupNorm> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, int64_t groups,
                            const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& given_shift,
                            int64_t activation) {
    const at::Tensor x = input.contiguous(kChannelsLast);
    const auto shape = shape_of(x, groups);
    const int64_t channels = shape.channels;
    const bool shifted = given_shift.numel() > 0;
    const at::Tensor shift = shifted ? given_shift.contiguous() : torch::zeros({channels}, torch::kFloat32);
    at::Tensor y = torch::empty_like(x);
    at::Tensor mean = torch::empty({x.size(0), groups}, torch::kFloat32);
    at::Tensor rstd = torch::empty({x.size(0), groups}, torch::kFloat32);
    const int64_t image = shape.positions * channels;
    const float *pw = weight.data_ptr<float>(), *pb = bias.data_ptr<float>(), *ps = shift.data_ptr<float>();
    float *pm = mean.data_ptr<float>(), *pr = rstd.data_ptr<float>();
    with_number(x.scalar_type(), [&]<class Number>(Number*) {
      const auto* px = static_cast<const Number*>(x.data_ptr());
      auto* py = static_cast<Number*>(y.data_ptr());
      at::parallel_for(0, x.size(0), 1, [&](int64_t begin, int64_t end) {
        std::vector<float> scratch(static_cast<size_t>(2 * channels));
        for (int64_t n = begin; n < end; ++n) {
          detail::norm_forward(shape, kEps, static_cast<Activation>(activation), px + n * image,
                               {pw, pb, ps + (shifted ? n * channels : 0)}, py + n * image, pm + n * groups,
                               pr + n * groups, scratch.data());
        }
      });
    });
    context->save_for_backward({x, weight, bias, shift, mean, rstd});
    context->saved_data["activation"] = activation;
    context->saved_data["shifted"] = shifted;
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    tensor::refuse_second_derivative("a group norm");
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &bias = saved[2], &shift = saved[3], &mean = saved[4],
                     &rstd = saved[5];
    const auto activation = static_cast<Activation>(context->saved_data["activation"].toInt());
    const bool shifted = context->saved_data["shifted"].toBool();
    const at::Tensor dy = gradients[0].contiguous(kChannelsLast);
    const int64_t groups = mean.size(1);
    const auto shape = shape_of(x, groups);
    const int64_t channels = shape.channels;
    at::Tensor dx = torch::empty_like(x);
    const auto per_image = [&] { return torch::empty({x.size(0), channels}, torch::kFloat32); };
    at::Tensor dweight = per_image(), dbias = per_image(), dshift = per_image();
    const int64_t image = shape.positions * channels;
    const float *pw = weight.data_ptr<float>(), *pb = bias.data_ptr<float>(), *ps = shift.data_ptr<float>();
    const float *pm = mean.data_ptr<float>(), *pr = rstd.data_ptr<float>();
    float *pdw = dweight.data_ptr<float>(), *pdb = dbias.data_ptr<float>(), *pds = dshift.data_ptr<float>();
    with_number(x.scalar_type(), [&]<class Number>(Number*) {
      const auto *px = static_cast<const Number*>(x.data_ptr()),
                 *pdy = static_cast<const Number*>(dy.data_ptr());
      auto* pdx = static_cast<Number*>(dx.data_ptr());
      at::parallel_for(0, x.size(0), 1, [&](int64_t begin, int64_t end) {
        std::vector<float> scratch(static_cast<size_t>(6 * channels));
        for (int64_t n = begin; n < end; ++n) {
          detail::norm_backward(shape, activation, px + n * image,
                                {pw, pb, ps + (shifted ? n * channels : 0)}, pm + n * groups, pr + n * groups,
                                pdy + n * image, pdx + n * image,
                                {pdw + n * channels, pdb + n * channels, pds + n * channels}, scratch.data());
        }
      });
    });
    return {dx, at::Tensor(), dweight.sum(0), dbias.sum(0), shifted ? dshift : at::Tensor(), at::Tensor()};
  }
};

struct ConcatChannels : torch::autograd::Function<ConcatChannels> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& a, const at::Tensor& b) {
    context->saved_data["first"] = a.size(1);
    return torch::cat({a, b}, 1);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const int64_t first = context->saved_data["first"].toInt();
    const at::Tensor& gradient = gradients[0];
    return {gradient.narrow(1, 0, first).contiguous(kChannelsLast),
            gradient.narrow(1, first, gradient.size(1) - first).contiguous(kChannelsLast)};
  }
};

}  // namespace

at::Tensor group_norm(const at::Tensor& x, int64_t groups, const at::Tensor& weight, const at::Tensor& bias,
                      Activation activation, const at::Tensor& shift) {
  const bool fused = x.scalar_type() == torch::kFloat32 || x.scalar_type() == torch::kBFloat16;
  if (x.device().is_cpu() && fused && x.is_contiguous(kChannelsLast)) {
    // A custom function takes no undefined tensor.
    const at::Tensor given = shift.defined() ? shift : torch::empty({0}, torch::kFloat32);
    return FusedGroupNorm::apply(x, groups, weight, bias, given, static_cast<int64_t>(activation));
  }
  if (suits_gpu_kernels(x)) {
    return group_norm_on_gpu(x, groups, weight, bias, kEps, activation, shift);
  }
  // In the weights' dtype: not every version of LibTorch has a kernel for bfloat16 beside float32.
  const at::Tensor wide = x.to(weight.scalar_type());
  const at::Tensor shifted = shift.defined() ? wide + shift.unsqueeze(2).unsqueeze(3) : wide;
  const at::Tensor y = torch::group_norm(shifted, groups, weight, bias, kEps);
  return (activation == Activation::kSwish ? torch::silu(y) : y).to(x.scalar_type());
}

at::Tensor concat_channels(const at::Tensor& a, const at::Tensor& b) { return ConcatChannels::apply(a, b); }

}  // namespace ddpm_eval::ddpm
