#include "base/tensor/gpu_convolution.h"

#include "base/core/error.h"
#include "base/tensor/derivative.h"
#include "base/tensor/padding.h"

#include <tuple>

#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

#ifdef DDPM_EVAL_WITH_CUDA
#include "base/tensor/add_bias_cuda.h"
#include "base/tensor/column_sum_cuda.h"
#include "base/tensor/convolve_cuda.h"

#include <ATen/Context.h>
#include <ATen/cuda/CUDAContext.h>
#endif

namespace ddpm_eval::tensor::gpu {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr auto kChannelsLast = torch::MemoryFormat::ChannelsLast;

/// x as it meets a packed weight.
at::Tensor input_for(const at::Tensor& packed, const at::Tensor& given, const ConvolutionShape& shape) {
  return Padding(shape).around(given.to(packed.scalar_type()).contiguous(kChannelsLast));
}

bool is_given(const at::Tensor& tensor) { return tensor.defined() && tensor.numel() > 0; }

/// y + bias + residual in the memory of y [n, c, h, w]; either may be empty or undefined.
void add(at::Tensor& y, const at::Tensor& given_bias, const at::Tensor& residual) {
  const at::Tensor bias = is_given(given_bias) ? given_bias.to(y.scalar_type()) : at::Tensor();
#ifdef DDPM_EVAL_WITH_CUDA
  const bool bfloat16 = y.scalar_type() == torch::kBFloat16;
  const auto fits = [&](const at::Tensor& x) {
    return !is_given(x) || (x.scalar_type() == y.scalar_type() && x.is_contiguous(kChannelsLast));
  };
  if ((bfloat16 || y.scalar_type() == torch::kFloat32) && fits(y) && fits(residual)) {
    if (is_given(bias) || is_given(residual)) {
      cuda::add_bias(y.numel() / y.size(1), y.size(1), bfloat16, is_given(bias) ? bias.data_ptr() : nullptr,
                     is_given(residual) ? residual.data_ptr() : nullptr, y.data_ptr(),
                     at::cuda::getCurrentCUDAStream());
    }
    return;
  }
#endif
  if (is_given(bias)) {
    y.add_(bias.view({-1, 1, 1}));
  }
  if (is_given(residual)) {
    y.add_(residual);
  }
}

/// `bias` and `residual` may be empty or undefined.
at::Tensor convolve(const at::Tensor& input, const at::Tensor& packed, const at::Tensor& bias,
                    const ConvolutionShape& shape, at::ScalarType result, const at::Tensor& residual) {
  at::Tensor y = at::conv2d(input, packed, {}, shape.stride, Padding(shape).inside());
  add(y, bias, residual);
  return y.to(result);
}

#ifdef DDPM_EVAL_WITH_CUDA
/// The rectified convolution by a kernel of ours; undefined where it is for another: other dtypes, operands
/// that may be rounded, shapes that it does not do.
at::Tensor by_tensor_cores(const at::Tensor& given, const at::Tensor& packed, const at::Tensor& bias,
                           const ConvolutionShape& shape) {
  if (given.scalar_type() != torch::kFloat32 || packed.scalar_type() != torch::kFloat32 ||
      bias.scalar_type() != torch::kFloat32 || at::globalContext().allowTF32CuDNN()) {
    return {};
  }
  const cuda::ConvolutionProblem problem{.images = given.size(0),
                                         .in = given.size(1),
                                         .height = given.size(2),
                                         .width = given.size(3),
                                         .out = packed.size(0),
                                         .kernel_height = packed.size(2),
                                         .kernel_width = packed.size(3),
                                         .out_height = output_side(shape, 0, given.size(2), packed.size(2)),
                                         .out_width = output_side(shape, 1, given.size(3), packed.size(3)),
                                         .stride = shape.stride,
                                         .pad_rows = shape.pad_begin[0],
                                         .pad_columns = shape.pad_begin[1]};
  DDPM_CHECK(packed.size(1) == problem.in && bias.sizes() == at::IntArrayRef{problem.out},
             "a convolution of {} channels by {}, with {} biases", problem.in, packed.size(1), bias.numel());
  if (!cuda::suits_tensor_cores(problem)) {
    return {};
  }
  const at::Tensor x = given.contiguous(kChannelsLast), shift = bias.contiguous();
  for (const auto* operand : {&x, &packed, &shift}) {
    if (reinterpret_cast<uintptr_t>(operand->data_ptr()) % 16 != 0) {
      return {};
    }
  }
  const at::Tensor y = torch::empty({problem.images, problem.out, problem.out_height, problem.out_width},
                                    x.options(), kChannelsLast);
  cuda::convolve_rectified(problem, x.data_ptr<float>(), packed.data_ptr<float>(), shift.data_ptr<float>(),
                           y.data_ptr<float>(), at::cuda::getCurrentCUDAStream());
  return y;
}
#endif

/// The sum over images and positions of dy [n, c, h, w], channels-last: float32 [c].
at::Tensor sum_of_channels(const at::Tensor& dy) {
#ifdef DDPM_EVAL_WITH_CUDA
  if (dy.scalar_type() == torch::kFloat32 || dy.scalar_type() == torch::kBFloat16) {
    const int64_t columns = dy.size(1), rows = dy.numel() / columns;
    const auto numbers = torch::dtype(torch::kFloat32).device(dy.device());
    const at::Tensor sums = torch::empty({columns}, numbers);
    const at::Tensor scratch = torch::empty({cuda::column_sum_scratch_floats(rows, columns)}, numbers);
    cuda::column_sum(rows, columns, dy.scalar_type() == torch::kBFloat16, dy.data_ptr(),
                     sums.data_ptr<float>(), scratch.data_ptr<float>(), at::cuda::getCurrentCUDAStream());
    return sums;
  }
#endif
  return dy.sum({0, 2, 3}, /*keepdim=*/false, torch::kFloat32);
}

struct GpuConvolution : torch::autograd::Function<GpuConvolution> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& bias, const ConvolutionShape& shape, at::ScalarType result,
                            const at::Tensor& residual) {
    const at::Tensor packed = pack(weight, operand_dtype(x, result));
    const at::Tensor input = input_for(packed, x, shape);
    context->save_for_backward({input, packed});
    context->saved_data["shape"] = to_numbers(shape);
    context->saved_data["dtype"] = static_cast<int64_t>(x.scalar_type());
    context->saved_data["biased"] = bias.numel() > 0;
    context->saved_data["added"] = residual.numel() > 0;
    return convolve(input, packed, bias, shape, result, residual);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    refuse_second_derivative("a convolution");
    const auto saved = context->get_saved_variables();
    const at::Tensor &input = saved[0], &packed = saved[1];
    const auto shape = from_numbers(context->saved_data["shape"].toIntVector());
    const Padding padding(shape);
    const at::Tensor dy = gradients[0].to(packed.scalar_type()).contiguous(kChannelsLast);
    const auto parts = at::convolution_backward(
        dy, input, packed, c10::nullopt, {shape.stride, shape.stride}, padding.inside(), {1, 1},
        /*transposed=*/false, {0, 0}, /*groups=*/1, {context->needs_input_grad(0), true, false});
    at::Tensor dx = std::get<0>(parts);
    if (dx.defined()) {
      dx = padding.without(dx);
      dx = dx.to(static_cast<at::ScalarType>(context->saved_data["dtype"].toInt()));
    }
    const at::Tensor& rounded = std::get<1>(parts);
    at::Tensor dweight =
        torch::empty(rounded.sizes(), torch::dtype(torch::kFloat32).device(rounded.device()));
    dweight.copy_(rounded);
    const bool biased = context->saved_data["biased"].toBool();
    const bool added = context->saved_data["added"].toBool();
    return {dx,           dweight,      biased ? sum_of_channels(dy) : at::Tensor(),
            at::Tensor(), at::Tensor(), added ? gradients[0] : at::Tensor()};
  }
};

}  // namespace

at::Tensor pack(const at::Tensor& weight, at::ScalarType dtype) {
  at::Tensor packed =
      torch::empty(weight.sizes(), torch::dtype(dtype).device(weight.device()), kChannelsLast);
  return packed.copy_(weight);
}

at::ScalarType operand_dtype(const at::Tensor& x, at::ScalarType result) {
  return result == torch::kFloat32 && x.scalar_type() == torch::kBFloat16 ? result : x.scalar_type();
}

at::Tensor forward(const at::Tensor& x, const at::Tensor& packed, const at::Tensor& bias,
                   const ConvolutionShape& shape, at::ScalarType result, const at::Tensor& residual) {
  return convolve(input_for(packed, x, shape), packed, bias, shape, result, residual);
}

at::Tensor forward_relu(const at::Tensor& x, const at::Tensor& packed, const at::Tensor& bias,
                        const ConvolutionShape& shape, at::ScalarType result) {
#ifdef DDPM_EVAL_WITH_CUDA
  if (const at::Tensor y = by_tensor_cores(x, packed, bias, shape); y.defined()) {
    return y.to(result);
  }
#endif
  const at::Tensor input = input_for(packed, x, shape);
  if (input.scalar_type() != torch::kFloat32) {
    return convolve(input, packed, bias, shape, result, {}).relu_();
  }
  return at::cudnn_convolution_relu(input, packed, bias, {shape.stride, shape.stride},
                                    Padding(shape).inside(), {1, 1}, /*groups=*/1)
      .to(result);
}

at::Tensor convolution(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                       const ConvolutionShape& shape, at::ScalarType result, const at::Tensor& residual) {
  // A custom function takes no undefined tensor.
  const auto given = [&](const at::Tensor& tensor) {
    return tensor.defined() ? tensor : weight.new_empty({0});
  };
  return GpuConvolution::apply(x, weight, given(bias), shape, result, given(residual));
}

}  // namespace ddpm_eval::tensor::gpu
