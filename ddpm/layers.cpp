#include "ddpm/layers.h"

#include "base/tensor/noise.h"

#include <cmath>

#include <torch/types.h>

namespace ddpm_eval::ddpm {

Dense Dense::make(ParameterMaker& maker, const std::string& name, int64_t in, int64_t out, double scale) {
  return {.weight = maker.glorot(name + ".weight", {out, in}, scale),
          .bias = maker.constant(name + ".bias", out, 0)};
}

at::Tensor Dense::operator()(const at::Tensor& x) const { return torch::linear(x, weight, bias); }

Conv Conv::make(ParameterMaker& maker, const std::string& name, int64_t in, int64_t out, int64_t kernel,
                double scale) {
  return {.weight = maker.glorot(name + ".weight", {out, in, kernel, kernel}, scale),
          .bias = maker.constant(name + ".bias", out, 0)};
}

at::Tensor Conv::operator()(const at::Tensor& x) const {
  if (stride == 2) {
    return torch::conv2d(torch::constant_pad_nd(x, {0, 1, 0, 1}), weight, bias, /*stride=*/2);
  }
  return torch::conv2d(x, weight, bias, /*stride=*/1, /*padding=*/weight.size(2) / 2);
}

at::Tensor Conv::on_tokens(const at::Tensor& tokens) const {
  return torch::linear(tokens, weight.view({weight.size(0), weight.size(1)}), bias);
}

GroupNorm GroupNorm::make(ParameterMaker& maker, const std::string& name, int64_t channels, int64_t groups) {
  return {.weight = maker.constant(name + ".weight", channels, 1),
          .bias = maker.constant(name + ".bias", channels, 0),
          .groups = groups};
}

at::Tensor GroupNorm::operator()(const at::Tensor& x, Activation activation) const {
  return group_norm(x, groups, weight, bias, activation);
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

at::Tensor ResnetBlock::operator()(const at::Tensor& x, const BlockContext& context) const {
  at::Tensor h = conv1_(norm1_(x, Activation::kSwish));
  // In place: the gradient of a convolution does not need its output.
  h.add_(temb_proj_(context.time).unsqueeze(2).unsqueeze(3));
  h = norm2_(h, Activation::kSwish);
  if (context.training.has_value() && context.dropout > 0) {
    h = dropout(h, context.dropout, *context.training, dropout_purpose_);
  }
  h = conv2_(h);
  return h.add_(nin_shortcut_ ? (*nin_shortcut_)(x) : x);
}

AttentionBlock::AttentionBlock(ParameterMaker& maker, const std::string& name, int64_t channels,
                               int64_t groups)
    : norm_(GroupNorm::make(maker, name + ".norm", channels, groups)),
      q_(Conv::make(maker, name + ".q", channels, channels, 1)),
      k_(Conv::make(maker, name + ".k", channels, channels, 1)),
      v_(Conv::make(maker, name + ".v", channels, channels, 1)),
      proj_out_(Conv::make(maker, name + ".proj_out", channels, channels, 1, kZeroInitScale)) {}

at::Tensor AttentionBlock::operator()(const at::Tensor& x) const {
  const int64_t n = x.size(0), channels = x.size(1), height = x.size(2), width = x.size(3);
  const at::Tensor tokens =
      norm_(x, Activation::kNone).permute({0, 2, 3, 1}).reshape({n, height * width, channels});
  const at::Tensor q = q_.on_tokens(tokens) * (1 / std::sqrt(static_cast<double>(channels)));
  const at::Tensor weights = torch::softmax(torch::bmm(q, k_.on_tokens(tokens).transpose(1, 2)), 2);
  const at::Tensor mixed = proj_out_.on_tokens(torch::bmm(weights, v_.on_tokens(tokens)));
  return x + mixed.view({n, height, width, channels}).permute({0, 3, 1, 2});
}

at::Tensor to_channels_last(const at::Tensor& x) {
  const int64_t channels = x.size(1), height = x.size(2), width = x.size(3);
  return x.contiguous(torch::MemoryFormat::ChannelsLast)
      .as_strided(x.sizes(), {height * width * channels, 1, width * channels, channels});
}

at::Tensor upsample_nearest(const at::Tensor& x) {
  return torch::upsample_nearest2d(x, {2 * x.size(2), 2 * x.size(3)});
}

at::Tensor dropout(const at::Tensor& x, double rate, const TrainingPass& pass, const std::string& purpose) {
  // Drawn as [n, h, w, c], the order in memory of x.
  const auto rows = tensor::index_range(pass.first_row, pass.first_row + x.size(0));
  const auto uniform =
      tensor::uniform_rows({pass.seed, purpose}, rows, pass.step, {x.size(2), x.size(3), x.size(1)});
  const auto mask = uniform.ge(rate).to(x.device(), x.scalar_type()).mul_(1 / (1 - rate));
  return x * mask.permute({0, 3, 1, 2});
}

}  // namespace ddpm_eval::ddpm
