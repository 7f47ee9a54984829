#pragma once

#include "base/tensor/convolution.h"
#include "base/tensor/precision.h"
#include "ddpm/group_norm.h"
#include "ddpm/network.h"
#include "ddpm/parameter_maker.h"

#include <memory>
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
  /// Present if weights stay as they are: a product whose rows, unlike BLAS's, do not depend on their number.
  std::shared_ptr<const tensor::FrozenConvolution> frozen = nullptr;

  static Dense make(ParameterMaker& maker, const std::string& name, int64_t in, int64_t out,
                    double scale = 1);
  at::Tensor operator()(const at::Tensor& x) const;
  void freeze();
};

/// kernel x kernel, "same" padding. A stride of 2 pads right and bottom only, as TensorFlow does on even
/// sizes.
struct Conv {
  at::Tensor weight;  ///< [out, in, kernel, kernel]
  at::Tensor bias;    ///< [out]
  int64_t stride = 1;
  std::shared_ptr<const tensor::FrozenConvolution> frozen = nullptr;  ///< present if weights stay as they are

  static Conv make(ParameterMaker& maker, const std::string& name, int64_t in, int64_t out, int64_t kernel,
                   double scale = 1);
  /// In the dtype of x, or in another.
  at::Tensor operator()(const at::Tensor& x) const { return (*this)(x, x.scalar_type()); }
  at::Tensor operator()(const at::Tensor& x, at::ScalarType result) const;
  /// The convolution with `other` for its bias, or with none where that is undefined, and `residual` added to
  /// it if there is one; on GPUs.
  at::Tensor with_bias(const at::Tensor& other, const at::Tensor& x, const at::Tensor& residual = {}) const;
  /// sum + (*this)(x), in the memory of `sum`, whose old values must not be needed any more.
  at::Tensor added_to(at::Tensor sum, const at::Tensor& x) const;
  void freeze();

 private:
  tensor::ConvolutionShape shape() const;
};

struct GroupNorm {
  at::Tensor weight;  ///< [channels]
  at::Tensor bias;
  int64_t groups = 32;

  static GroupNorm make(ParameterMaker& maker, const std::string& name, int64_t channels, int64_t groups);
  at::Tensor operator()(const at::Tensor& x, Activation activation, const at::Tensor& shift = {}) const;
};

/// What every residual block of one pass shares.
struct BlockContext {
  double dropout = 0;
  std::optional<TrainingPass> training;
  at::Tensor place = {};  ///< mask_place() of the pass, on a GPU
};

/// norm1, swish, conv1, + temb_proj(time), norm2, swish, dropout, conv2, + shortcut. Computes in the dtype of
/// x.
class ResnetBlock {
 public:
  ResnetBlock(ParameterMaker& maker, const std::string& name, int64_t in, int64_t out, int64_t time_width,
              int64_t groups);
  /// `time`: swish of the time embedding, [n, time_width]. Returns temb_proj of it, float32 [n, out].
  at::Tensor shift(const at::Tensor& time) const { return temb_proj_(time); }
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& shift, const BlockContext& context) const;
  void freeze();

 private:
  at::Tensor run_on_gpu(const at::Tensor& x, const at::Tensor& shift, const BlockContext& context) const;

  std::string dropout_purpose_;
  GroupNorm norm1_;
  Conv conv1_;
  Dense temb_proj_;
  GroupNorm norm2_;
  Conv conv2_;
  std::optional<Conv> nin_shortcut_;
};

/// Single-head attention over all positions: x + proj_out(softmax(q k^T / sqrt(c)) v). Computes in the dtype
/// of x, softmax in float32. Once frozen it returns its result in the memory of x.
class AttentionBlock {
 public:
  AttentionBlock(ParameterMaker& maker, const std::string& name, int64_t channels, int64_t groups);
  at::Tensor operator()(const at::Tensor& x) const;
  void freeze();

 private:
  /// q, k and v as one convolution.
  Conv joined() const;

  GroupNorm norm_;
  Conv q_, k_, v_, proj_out_;
  std::optional<Conv> joined_;  ///< present once frozen
};

/// `x` [n, c, h, w] with channels-last strides, also where one channel leaves the layout open.
at::Tensor to_channels_last(const at::Tensor& x);

/// Nearest-neighbour doubling of height and width; channels-last.
at::Tensor upsample_nearest(const at::Tensor& x);

}  // namespace ddpm_eval::ddpm
