#include "ddpm/group_norm.h"

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

struct FusedGroupNorm : torch::autograd::Function<FusedGroupNorm> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, int64_t groups,
                            const at::Tensor& weight, const at::Tensor& bias, int64_t activation) {
    const at::Tensor x = input.contiguous(kChannelsLast);
    const auto shape = shape_of(x, groups);
    at::Tensor y = torch::empty_like(x);
    at::Tensor mean = torch::empty({x.size(0), groups}, torch::kFloat32);
    at::Tensor rstd = torch::empty({x.size(0), groups}, torch::kFloat32);
    const int64_t image = shape.positions * shape.channels;
    const float *px = x.data_ptr<float>(), *pw = weight.data_ptr<float>(), *pb = bias.data_ptr<float>();
    float *py = y.data_ptr<float>(), *pm = mean.data_ptr<float>(), *pr = rstd.data_ptr<float>();
    at::parallel_for(0, x.size(0), 1, [&](int64_t begin, int64_t end) {
      std::vector<float> scratch(static_cast<size_t>(2 * shape.channels));
      for (int64_t n = begin; n < end; ++n) {
        detail::norm_forward(shape, kEps, static_cast<Activation>(activation), px + n * image, pw, pb,
                             py + n * image, pm + n * groups, pr + n * groups, scratch.data());
      }
    });
    context->save_for_backward({x, weight, bias, mean, rstd});
    context->saved_data["activation"] = activation;
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &bias = saved[2], &mean = saved[3], &rstd = saved[4];
    const auto activation = static_cast<Activation>(context->saved_data["activation"].toInt());
    const at::Tensor dy = gradients[0].contiguous(kChannelsLast);
    const int64_t groups = mean.size(1);
    const auto shape = shape_of(x, groups);
    at::Tensor dx = torch::empty_like(x);
    at::Tensor dweight = torch::empty({x.size(0), shape.channels}, torch::kFloat32);
    at::Tensor dbias = torch::empty({x.size(0), shape.channels}, torch::kFloat32);
    const int64_t image = shape.positions * shape.channels;
    const float *px = x.data_ptr<float>(), *pw = weight.data_ptr<float>(), *pb = bias.data_ptr<float>();
    const float *pm = mean.data_ptr<float>(), *pr = rstd.data_ptr<float>(), *pdy = dy.data_ptr<float>();
    float *pdx = dx.data_ptr<float>(), *pdw = dweight.data_ptr<float>(), *pdb = dbias.data_ptr<float>();
    at::parallel_for(0, x.size(0), 1, [&](int64_t begin, int64_t end) {
      std::vector<float> scratch(static_cast<size_t>(4 * shape.channels));
      for (int64_t n = begin; n < end; ++n) {
        detail::norm_backward(shape, activation, px + n * image, pw, pb, pm + n * groups, pr + n * groups,
                              pdy + n * image, pdx + n * image, pdw + n * shape.channels,
                              pdb + n * shape.channels, scratch.data());
      }
    });
    return {dx, at::Tensor(), dweight.sum(0), dbias.sum(0), at::Tensor()};
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
                      Activation activation) {
  if (x.device().is_cpu() && x.scalar_type() == torch::kFloat32 && x.is_contiguous(kChannelsLast)) {
    return FusedGroupNorm::apply(x, groups, weight, bias, static_cast<int64_t>(activation));
  }
  const at::Tensor y = torch::group_norm(x, groups, weight, bias, kEps);
  return activation == Activation::kSwish ? torch::silu(y) : y;
}

at::Tensor concat_channels(const at::Tensor& a, const at::Tensor& b) { return ConcatChannels::apply(a, b); }

}  // namespace ddpm_eval::ddpm
