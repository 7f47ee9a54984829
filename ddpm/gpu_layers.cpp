#include "ddpm/gpu_layers.h"

#include "base/core/error.h"
#include "base/tensor/derivative.h"
#include "base/tensor/send.h"

#include <torch/types.h>

#ifdef DDPM_EVAL_WITH_CUDA
#include "ddpm/dropout_cuda.h"
#include "ddpm/norm_cuda.h"

#include <ATen/cuda/CUDAContext.h>
#include <torch/csrc/autograd/custom_function.h>
#endif

namespace ddpm_eval::ddpm {

#ifdef DDPM_EVAL_WITH_CUDA

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr auto kLast = torch::MemoryFormat::ChannelsLast;

at::Tensor empty_beside(const at::Tensor& x, at::IntArrayRef shape) {
  return torch::empty(shape, torch::dtype(torch::kFloat32).device(x.device()));
}

cuda::NormProblem problem_of(const at::Tensor& x, int64_t groups, double eps, int64_t activation) {
  return {.images = x.size(0),
          .positions = x.size(2) * x.size(3),
          .channels = x.size(1),
          .groups = groups,
          .eps = static_cast<float>(eps),
          .swish = static_cast<Activation>(activation) == Activation::kSwish,
          .bfloat16 = x.scalar_type() == torch::kBFloat16};
}

const float* numbers(const at::Tensor& tensor) {
  return tensor.numel() > 0 ? tensor.data_ptr<float>() : nullptr;
}

struct GpuNorm : torch::autograd::Function<GpuNorm> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, int64_t groups,
                            const at::Tensor& weight, const at::Tensor& bias, double eps, int64_t activation,
                            const at::Tensor& given_shift) {
    const auto problem = problem_of(x, groups, eps, activation);
    const at::Tensor shift = given_shift.contiguous();
    at::Tensor y = torch::empty_like(x);
    const at::Tensor mean = empty_beside(x, {problem.images, groups});
    const at::Tensor rstd = empty_beside(x, {problem.images, groups});
    const at::Tensor scratch = empty_beside(x, {cuda::norm_scratch_floats(problem)});
    cuda::norm_forward(problem, x.data_ptr(), weight.data_ptr<float>(), bias.data_ptr<float>(),
                       numbers(shift), y.data_ptr(), mean.data_ptr<float>(), rstd.data_ptr<float>(),
                       scratch.data_ptr<float>(), at::cuda::getCurrentCUDAStream());
    context->save_for_backward({x, weight, bias, shift, mean, rstd});
    context->saved_data["eps"] = eps;
    context->saved_data["activation"] = activation;
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    tensor::refuse_second_derivative("a group norm");
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &bias = saved[2], &shift = saved[3], &mean = saved[4],
                     &rstd = saved[5];
    const auto problem = problem_of(x, mean.size(1), context->saved_data["eps"].toDouble(),
                                    context->saved_data["activation"].toInt());
    const at::Tensor dy = gradients[0].contiguous(kLast);
    at::Tensor dx = torch::empty_like(x);
    const at::Tensor dweight = torch::empty_like(weight), dbias = torch::empty_like(bias);
    const bool shifted = shift.numel() > 0;
    at::Tensor dshift;
    if (shifted) {
      dshift = torch::empty_like(shift);
    }
    const at::Tensor scratch = empty_beside(x, {cuda::norm_scratch_floats(problem)});
    cuda::norm_backward(problem, x.data_ptr(), weight.data_ptr<float>(), bias.data_ptr<float>(),
                        numbers(shift), mean.data_ptr<float>(), rstd.data_ptr<float>(), dy.data_ptr(),
                        dx.data_ptr(), dweight.data_ptr<float>(), dbias.data_ptr<float>(),
                        shifted ? dshift.data_ptr<float>() : nullptr, scratch.data_ptr<float>(),
                        at::cuda::getCurrentCUDAStream());
    return {dx, at::Tensor(), dweight, dbias, at::Tensor(), at::Tensor(), dshift};
  }
};

at::Tensor masked(const at::Tensor& x, double rate, uint64_t stream, const at::Tensor& place) {
  at::Tensor y = torch::empty_like(x);
  cuda::dropout(stream, place.data_ptr<int64_t>(), x.size(0), x.numel() / x.size(0), rate,
                x.scalar_type() == torch::kBFloat16, x.data_ptr(), y.data_ptr(),
                at::cuda::getCurrentCUDAStream());
  return y;
}

struct GpuDropout : torch::autograd::Function<GpuDropout> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, double rate, int64_t stream,
                            const at::Tensor& place) {
    context->save_for_backward({place});
    context->saved_data["rate"] = rate;
    context->saved_data["stream"] = stream;
    return masked(x, rate, static_cast<uint64_t>(stream), place);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    tensor::refuse_second_derivative("dropout");
    const at::Tensor dx = masked(gradients[0].contiguous(kLast), context->saved_data["rate"].toDouble(),
                                 static_cast<uint64_t>(context->saved_data["stream"].toInt()),
                                 context->get_saved_variables()[0]);
    return {dx, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

bool suits_gpu_kernels(const at::Tensor& x) {
  return x.is_cuda() && x.dim() == 4 && x.numel() > 0 && x.is_contiguous(kLast) &&
         (x.scalar_type() == torch::kFloat32 || x.scalar_type() == torch::kBFloat16);
}

at::Tensor group_norm_on_gpu(const at::Tensor& x, int64_t groups, const at::Tensor& weight,
                             const at::Tensor& bias, double eps, Activation activation,
                             const at::Tensor& shift) {
  // A custom function takes no undefined tensor.
  return GpuNorm::apply(x, groups, weight, bias, eps, static_cast<int64_t>(activation),
                        shift.defined() ? shift : empty_beside(x, {0}));
}

at::Tensor dropout_on_gpu(const at::Tensor& x, double rate, const MaskKey& key) {
  return GpuDropout::apply(x, rate, static_cast<int64_t>(key.stream), key.place);
}

#else

bool suits_gpu_kernels(const at::Tensor& /*x*/) { return false; }

at::Tensor group_norm_on_gpu(const at::Tensor& x, int64_t, const at::Tensor&, const at::Tensor&, double,
                             Activation, const at::Tensor&) {
  DDPM_CHECK(false, "a kernel for {}", x.device().str());
}

at::Tensor dropout_on_gpu(const at::Tensor& x, double, const MaskKey&) {
  DDPM_CHECK(false, "a kernel for {}", x.device().str());
}

#endif

at::Tensor mask_place(int64_t first_row, int64_t step, at::Device device) {
  DDPM_CHECK(step >= 0 && step < (int64_t{1} << 31), "noise step {} is out of range", step);
  return tensor::send(torch::tensor({first_row, step}, torch::kInt64), device);
}

}  // namespace ddpm_eval::ddpm
