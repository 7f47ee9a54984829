#include "ddpm/layers.h"

#include "ddpm/attention.h"
#include "ddpm/dropout.h"

#include <cmath>

#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

namespace ddpm_eval::ddpm {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// LibTorch 1.13 cannot differentiate its own in bfloat16.
struct Doubled : torch::autograd::Function<Doubled> {
  static at::Tensor forward(AutogradContext* /*context*/, const at::Tensor& x) {
    const int64_t n = x.size(0), channels = x.size(1), height = x.size(2), width = x.size(3);
    const auto rows = x.permute({0, 2, 3, 1}).reshape({n, height, 1, width, 1, channels});
    return rows.expand({n, height, 2, width, 2, channels})
        .reshape({n, 2 * height, 2 * width, channels})
        .permute({0, 3, 1, 2});
  }

  static variable_list backward(AutogradContext* /*context*/, variable_list gradients) {
    const at::Tensor dy = gradients[0].permute({0, 2, 3, 1});
    const int64_t n = dy.size(0), height = dy.size(1) / 2, width = dy.size(2) / 2, channels = dy.size(3);
    const auto parts = dy.reshape({n, height, 2, width, 2, channels});
    const auto part = [&](int64_t row, int64_t column) { return parts.select(4, column).select(2, row); };
    return {((part(0, 0) + part(0, 1)) + (part(1, 0) + part(1, 1))).permute({0, 3, 1, 2})};
  }
};

}  // namespace

Dense Dense::make(ParameterMaker& maker, const std::string& name, int64_t in, int64_t out, double scale) {
  return {.weight = maker.glorot(name + ".weight", {out, in}, scale),
          .bias = maker.constant(name + ".bias", out, 0)};
}

at::Tensor Dense::operator()(const at::Tensor& x) const {
  if (!frozen) {
    return torch::linear(x, weight, bias);
  }
  return (*frozen)(x.view({x.size(0), x.size(1), 1, 1}), x.scalar_type()).view({x.size(0), weight.size(0)});
}

void Dense::freeze() {
  frozen = std::make_shared<tensor::FrozenConvolution>(weight.unsqueeze(2).unsqueeze(3), bias,
                                                       tensor::ConvolutionShape{});
}

Conv Conv::make(ParameterMaker& maker, const std::string& name, int64_t in, int64_t out, int64_t kernel,
                double scale) {
  return {.weight = maker.glorot(name + ".weight", {out, in, kernel, kernel}, scale),
          .bias = maker.constant(name + ".bias", out, 0)};
}

tensor::ConvolutionShape Conv::shape() const {
  const int64_t same = weight.size(2) / 2;
  return stride == 2 ? tensor::ConvolutionShape{2, {0, 0}, {1, 1}} : tensor::padded(1, same);
}

at::Tensor Conv::operator()(const at::Tensor& x, at::ScalarType result) const {
  return frozen ? (*frozen)(x, result) : tensor::convolution(x, weight, bias, shape(), result);
}

at::Tensor Conv::with_bias(const at::Tensor& other, const at::Tensor& x, const at::Tensor& residual) const {
  return frozen ? frozen->with_bias(other, x, residual)
                : tensor::convolution(x, weight, other, shape(), x.scalar_type(), residual);
}

at::Tensor Conv::added_to(at::Tensor sum, const at::Tensor& x) const {
  if (!frozen) {
    return sum.add_((*this)(x, sum.scalar_type()));
  }
  frozen->add_to(sum, x);
  return sum;
}

void Conv::freeze() { frozen = std::make_shared<tensor::FrozenConvolution>(weight, bias, shape()); }

GroupNorm GroupNorm::make(ParameterMaker& maker, const std::string& name, int64_t channels, int64_t groups) {
  return {.weight = maker.constant(name + ".weight", channels, 1),
          .bias = maker.constant(name + ".bias", channels, 0),
          .groups = groups};
}

at::Tensor GroupNorm::operator()(const at::Tensor& x, Activation activation, const at::Tensor& shift) const {
  return group_norm(x, groups, weight, bias, activation, shift);
}

ResnetBlock::ResnetBlock(ParameterMaker& maker, const std::string& name, int64_t in, int64_t out,
                         int64_t time_width, int64_t groups)
    : dropout_purpose_("train.dropout:" + name),
      norm1_(GroupNorm::make(maker, name + ".norm1", in, groups)),
      conv1_(Conv::make(maker, name + ".conv1", in, out, 3)),
      temb_proj_(Dense::make(maker, name + ".temb_proj", time_width, out)),
      norm2_(GroupNorm::make(maker, name + ".norm2", out, groups)),
      conv2_(Conv::make(maker, name + ".conv2", out, out, 3, kZeroInitScale)) {
  if (in != out) {
    nin_shortcut_ = Conv::make(maker, name + ".nin_shortcut", in, out, 1);
  }
}

at::Tensor ResnetBlock::operator()(const at::Tensor& x, const at::Tensor& shift,
                                   const BlockContext& context) const {
  if (x.is_cuda()) {
    return run_on_gpu(x, shift, context);
  }
  at::Tensor h = conv1_(norm1_(x, Activation::kSwish));
  h = norm2_(h, Activation::kSwish, shift);
  if (context.training.has_value() && context.dropout > 0) {
    h = dropout(h, context.dropout, *context.training, dropout_purpose_);
  }
  if (nin_shortcut_) {
    return conv2_.added_to((*nin_shortcut_)(x), h);
  }
  return conv2_(h).add_(x);
}

/// Memory is what a GPU waits for: the bias of conv1 goes with the shift that norm2 adds anyway, and those of
/// conv2 and of the shortcut are one and go with the sum.
at::Tensor ResnetBlock::run_on_gpu(const at::Tensor& x, const at::Tensor& shift,
                                   const BlockContext& context) const {
  at::Tensor h = conv1_.with_bias({}, norm1_(x, Activation::kSwish));
  h = norm2_(h, Activation::kSwish, shift + conv1_.bias);
  if (context.training.has_value() && context.dropout > 0) {
    h = dropout(h, context.dropout, *context.training, dropout_purpose_, context.place);
  }
  if (nin_shortcut_) {
    return conv2_.with_bias(conv2_.bias + nin_shortcut_->bias, h, nin_shortcut_->with_bias({}, x));
  }
  return conv2_.with_bias(conv2_.bias, h, x);
}

void ResnetBlock::freeze() {
  temb_proj_.freeze();
  conv1_.freeze();
  conv2_.freeze();
  if (nin_shortcut_) {
    nin_shortcut_->freeze();
  }
}

AttentionBlock::AttentionBlock(ParameterMaker& maker, const std::string& name, int64_t channels,
                               int64_t groups)
    : norm_(GroupNorm::make(maker, name + ".norm", channels, groups)),
      q_(Conv::make(maker, name + ".q", channels, channels, 1)),
      k_(Conv::make(maker, name + ".k", channels, channels, 1)),
      v_(Conv::make(maker, name + ".v", channels, channels, 1)),
      proj_out_(Conv::make(maker, name + ".proj_out", channels, channels, 1, kZeroInitScale)) {}

Conv AttentionBlock::joined() const {
  return {.weight = torch::cat({q_.weight, k_.weight, v_.weight}),
          .bias = torch::cat({q_.bias, k_.bias, v_.bias})};
}

void AttentionBlock::freeze() {
  joined_ = joined();
  joined_->freeze();
  proj_out_.freeze();
}

at::Tensor AttentionBlock::operator()(const at::Tensor& x) const {
  const int64_t n = x.size(0), channels = x.size(1), height = x.size(2), width = x.size(3);
  const at::Tensor all = (joined_ ? *joined_ : joined())(norm_(x, Activation::kNone));
  const at::Tensor mixed = attend(all.permute({0, 2, 3, 1}).reshape({n, height * width, 3 * channels}));
  const at::Tensor image = mixed.view({n, height, width, channels}).permute({0, 3, 1, 2});
  if (x.is_cuda()) {
    return proj_out_.with_bias(proj_out_.bias, image, x);
  }
  // A frozen block ends a chain of its own: nothing else reads x.
  return joined_ ? proj_out_.added_to(x, image) : proj_out_(image).add_(x);
}

at::Tensor to_channels_last(const at::Tensor& x) {
  const int64_t channels = x.size(1), height = x.size(2), width = x.size(3);
  return x.contiguous(torch::MemoryFormat::ChannelsLast)
      .as_strided(x.sizes(), {height * width * channels, 1, width * channels, channels});
}

at::Tensor upsample_nearest(const at::Tensor& x) {
  return x.is_cuda() ? torch::upsample_nearest2d(x, {2 * x.size(2), 2 * x.size(3)}) : Doubled::apply(x);
}

}  // namespace ddpm_eval::ddpm
