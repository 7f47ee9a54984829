#pragma once

#include "ddpm/network.h"
#include "ddpm/parameter_maker.h"

#include <optional>
#include <string>

// The parts of the networks. Images are channels-last throughout (convolutions are about twice as fast
// so on a CPU), which makes [n, h w, c] a view of [n, c, h, w]. Private to the networks and their tests.
namespace ddpm_eval::ddpm {

/// Scale of the layers that start as if zero: conv2, proj_out and conv_out of the official code.
inline constexpr double kZeroInitScale = 1e-10;

struct Dense {
  at::Tensor weight;  ///< [out, in]
  at::Tensor bias;    ///< [out]

  static Dense make(ParameterMaker& maker, const std::string& name, int64_t in, int64_t out,
                    double scale = 1);
  at::Tensor operator()(const at::Tensor& x) const;
};

/// kernel x kernel, "same" padding. A stride of 2 pads right and bottom only, as TensorFlow does on even
/// sizes.
struct Conv {
  at::Tensor weight;  ///< [out, in, kernel, kernel]
  at::Tensor bias;    ///< [out]
  int64_t stride = 1;

  static Conv make(ParameterMaker& maker, const std::string& name, int64_t in, int64_t out, int64_t kernel,
                   double scale = 1);
  at::Tensor operator()(const at::Tensor& x) const;
  /// A 1x1 convolution as one matrix product; `tokens` [n, h w, in].
  at::Tensor on_tokens(const at::Tensor& tokens) const;
};

struct GroupNorm {
  at::Tensor weight;  ///< [channels]
  at::Tensor bias;
  int64_t groups = 32;

  static GroupNorm make(ParameterMaker& maker, const std::string& name, int64_t channels, int64_t groups);
  at::Tensor operator()(const at::Tensor& x) const;
};

/// What every residual block of one pass shares.
struct BlockContext {
  at::Tensor time;  ///< swish of the time embedding, [n, 4 base_channels]
  double dropout = 0;
  std::optional<TrainingPass> training;
};

/// norm1, swish, conv1, + temb_proj(time), norm2, swish, dropout, conv2, + shortcut.
class ResnetBlock {
 public:
  ResnetBlock(ParameterMaker& maker, const std::string& name, int64_t in, int64_t out, int64_t time_width,
              int64_t groups);
  at::Tensor operator()(const at::Tensor& x, const BlockContext& context) const;

 private:
  std::string dropout_purpose_;
  GroupNorm norm1_;
  Conv conv1_;
  Dense temb_proj_;
  GroupNorm norm2_;
  Conv conv2_;
  std::optional<Conv> nin_shortcut_;
};

/// Single-head attention over all positions: x + proj_out(softmax(q k^T / sqrt(c)) v).
class AttentionBlock {
 public:
  AttentionBlock(ParameterMaker& maker, const std::string& name, int64_t channels, int64_t groups);
  at::Tensor operator()(const at::Tensor& x) const;

 private:
  GroupNorm norm_;
  Conv q_, k_, v_, proj_out_;
};

/// `x` [n, c, h, w] with channels-last strides, also where one channel leaves the layout open.
at::Tensor to_channels_last(const at::Tensor& x);

/// Nearest-neighbour doubling of height and width.
at::Tensor upsample_nearest(const at::Tensor& x);

/// x / (1 - rate) where kept and 0 elsewhere; the mask of row r depends on (seed, step, purpose, r) alone.
at::Tensor dropout(const at::Tensor& x, double rate, const TrainingPass& pass, const std::string& purpose);

}  // namespace ddpm_eval::ddpm
