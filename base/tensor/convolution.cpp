#include "base/tensor/convolution.h"

#include "base/core/error.h"
#include "base/tensor/derivative.h"
#include "base/tensor/gpu_convolution.h"
#include "base/tensor/onednn_convolution.h"
#include "base/tensor/padding.h"
#include "base/tensor/winograd.h"

#include <map>
#include <mutex>

#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

namespace ddpm_eval::tensor {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr auto kChannelsLast = torch::MemoryFormat::ChannelsLast;

bool suits_onednn(const at::Tensor& x, const at::Tensor& weight) {
  return onednn::available() && x.device().is_cpu() && weight.scalar_type() == torch::kFloat32 &&
         (x.scalar_type() == torch::kFloat32 ||
          (x.scalar_type() == torch::kBFloat16 && onednn::computes_bfloat16()));
}

/// `weight` rounded as `dtype` has it, in `wide`. Conversions there and back would round its gradient too,
/// which is float32 everywhere else.
at::Tensor rounded(const at::Tensor& weight, at::ScalarType dtype, at::ScalarType wide) {
  if (weight.scalar_type() == dtype) {
    return weight.to(wide);
  }
  const at::Tensor same = weight.to(wide);
  return same + (weight.to(dtype).to(wide) - same).detach();
}

/// In x's dtype throughout, but that bfloat16, rounded, goes through float32.
at::Tensor by_operators(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                        const ConvolutionShape& shape, at::ScalarType result) {
  const auto dtype = x.scalar_type() == torch::kBFloat16 ? torch::kFloat32 : x.scalar_type();
  const Padding padding(shape);
  return torch::conv2d(padding.around(x.to(dtype)), rounded(weight, x.scalar_type(), dtype), bias.to(dtype),
                       shape.stride, padding.inside())
      .to(result);
}

onednn::Problem problem_of(const at::Tensor& x, at::IntArrayRef weight, const ConvolutionShape& shape,
                           at::ScalarType result) {
  DDPM_CHECK(x.dim() == 4 && weight.size() == 4 && x.size(1) == weight[1],
             "a convolution of {} channels by {}", x.size(1), weight[1]);
  const Sides kernel{weight[2], weight[3]};
  return {.rows = x.size(0),
          .in = x.size(1),
          .height = x.size(2),
          .width = x.size(3),
          .out = weight[0],
          .kernel = kernel,
          .out_height = output_side(shape, 0, x.size(2), kernel[0]),
          .out_width = output_side(shape, 1, x.size(3), kernel[1]),
          .shape = shape,
          .dtype = x.scalar_type(),
          .result = result};
}

at::Tensor empty_result(const onednn::Problem& problem) {
  return torch::empty({problem.rows, problem.out, problem.out_height, problem.out_width},
                      torch::dtype(problem.result), kChannelsLast);
}

struct Convolution : torch::autograd::Function<Convolution> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& weight,
                            const at::Tensor& bias, const ConvolutionShape& shape, at::ScalarType result) {
    const at::Tensor x = input.contiguous(kChannelsLast);
    const auto problem = problem_of(x, weight.sizes(), shape, result);
    at::Tensor y = empty_result(problem);
    if (winograd::suits(problem)) {
      winograd::forward(problem, x, winograd::filters(weight.contiguous()), bias, y);
    } else {
      onednn::forward(problem, x, onednn::pack(problem, weight.contiguous()), bias, y);
    }
    context->save_for_backward({x, weight});
    context->saved_data["shape"] = to_numbers(shape);
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    refuse_second_derivative("a convolution");
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1];
    const auto shape = from_numbers(context->saved_data["shape"].toIntVector());
    const auto problem = problem_of(x, weight.sizes(), shape, x.scalar_type());
    const at::Tensor dy = gradients[0].to(x.scalar_type()).contiguous(kChannelsLast);
    const bool by_winograd = winograd::suits(problem);
    at::Tensor dx;
    if (context->needs_input_grad(0)) {
      dx = torch::empty_like(x);
      (by_winograd ? winograd::backward_data : onednn::backward_data)(problem, dy, weight.contiguous(), dx);
    }
    at::Tensor dweight = torch::empty(weight.sizes(), torch::kFloat32);
    at::Tensor dbias = torch::empty({problem.out}, torch::kFloat32);
    (by_winograd ? winograd::backward_weights : onednn::backward_weights)(problem, x, dy, dweight, dbias);
    return {dx, dweight, dbias, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor convolution(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                       const ConvolutionShape& shape, at::ScalarType result, const at::Tensor& residual) {
  if (x.is_cuda()) {
    return gpu::convolution(x, weight, bias, shape, result, residual);
  }
  DDPM_CHECK(bias.defined() && !residual.defined(), "no bias, or a residual, is for GPUs");
  return suits_onednn(x, weight) ? Convolution::apply(x, weight, bias, shape, result)
                                 : by_operators(x, weight, bias, shape, result);
}

/// Layouts differ between shapes of input, though rarely: one copy for each that was met. Winograd's filters
/// are of any shape; a GPU has one copy for each dtype.
struct FrozenConvolution::Packed {
  std::mutex mutex;
  std::vector<std::pair<onednn::Problem, onednn::PackedWeight>> met;
  at::Tensor winograd_filters;
  std::map<at::ScalarType, Operands> on_gpu;
};

FrozenConvolution::FrozenConvolution(const at::Tensor& weight, const at::Tensor& bias,
                                     const ConvolutionShape& shape, Rectifier rectifier)
    : weight_(weight.detach().contiguous()),
      bias_(bias.detach()),
      shape_(shape),
      rectifier_(rectifier),
      packed_(std::make_unique<Packed>()) {}

FrozenConvolution::FrozenConvolution(FrozenConvolution&&) noexcept = default;
FrozenConvolution::~FrozenConvolution() = default;

at::Tensor FrozenConvolution::operator()(const at::Tensor& x, at::ScalarType result) const {
  if (x.is_cuda()) {
    const auto [weight, bias] = on_gpu(gpu::operand_dtype(x, result));
    return rectifier_ == Rectifier::kRelu ? gpu::forward_relu(x, weight, bias, shape_, result)
                                          : gpu::forward(x, weight, bias, shape_, result);
  }
  if (!suits_onednn(x, weight_)) {
    auto y = by_operators(x, weight_, bias_, shape_, result);
    return rectifier_ == Rectifier::kRelu ? y.relu_() : y;
  }
  auto problem = problem_of(x, weight_.sizes(), shape_, result);
  problem.rectifier = rectifier_;
  at::Tensor y = empty_result(problem);
  run(problem, x, y);
  return y;
}

at::Tensor FrozenConvolution::with_bias(const at::Tensor& bias, const at::Tensor& x,
                                        const at::Tensor& residual) const {
  DDPM_CHECK(x.is_cuda(), "another bias is for GPUs");
  return gpu::forward(x, on_gpu(x.scalar_type()).weight, bias, shape_, x.scalar_type(), residual);
}

void FrozenConvolution::add_to(at::Tensor& sum, const at::Tensor& x) const {
  DDPM_CHECK(rectifier_ == Rectifier::kNone, "a rectified convolution is not added");
  if (!suits_onednn(x, weight_)) {
    // Added in float32, so that bfloat16 is rounded once.
    const auto dtype = sum.scalar_type() == torch::kBFloat16 ? torch::kFloat32 : sum.scalar_type();
    sum.add_(by_operators(x, weight_, bias_, shape_, dtype));
    return;
  }
  auto problem = problem_of(x, weight_.sizes(), shape_, sum.scalar_type());
  problem.adds = true;
  run(problem, x, sum);
}

FrozenConvolution::Operands FrozenConvolution::on_gpu(at::ScalarType dtype) const {
  const std::lock_guard lock(packed_->mutex);
  auto& kept = packed_->on_gpu[dtype];
  if (!kept.weight.defined()) {
    kept = {gpu::pack(weight_, dtype), bias_.to(dtype)};
  }
  return kept;
}

void FrozenConvolution::run(const onednn::Problem& problem, const at::Tensor& x, at::Tensor& y) const {
  if (winograd::suits(problem)) {
    at::Tensor filters;
    {
      const std::lock_guard lock(packed_->mutex);
      if (!packed_->winograd_filters.defined()) {
        packed_->winograd_filters = winograd::filters(weight_);
      }
      filters = packed_->winograd_filters;
    }
    winograd::forward(problem, x.contiguous(kChannelsLast), filters, bias_, y);
    return;
  }
  onednn::PackedWeight weight;
  {
    const std::lock_guard lock(packed_->mutex);
    const auto found = std::find_if(packed_->met.begin(), packed_->met.end(),
                                    [&](const auto& entry) { return entry.first == problem; });
    if (found == packed_->met.end()) {
      weight = onednn::pack(problem, weight_, packed_->met.empty() ? nullptr : &packed_->met.front().second);
      packed_->met.emplace_back(problem, weight);
    } else {
      weight = found->second;
    }
  }
  onednn::forward(problem, x.contiguous(kChannelsLast), weight, bias_, y);
}

}  // namespace ddpm_eval::tensor
