#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include <ATen/core/Tensor.h>

// Convolutions by oneDNN itself where LibTorch was built with it: activations channels-last and without gaps,
// float32 or bfloat16; weights float32 in any case. Everywhere else (GPUs, other dtypes, builds without
// oneDNN) LibTorch's operators do the same. What a row of the result is does not depend on the other rows on
// the CPU.
namespace ddpm_eval::tensor {

namespace onednn {
struct Problem;
}

/// Of rows and of columns.
using Sides = std::array<int64_t, 2>;

/// Stride in both directions, and padding before the first and after the last row and column.
struct ConvolutionShape {
  int64_t stride = 1;
  Sides pad_begin{};
  Sides pad_end{};

  bool operator==(const ConvolutionShape&) const = default;
};

/// With as much padding on all four sides.
inline ConvolutionShape padded(int64_t stride, int64_t pad) { return {stride, {pad, pad}, {pad, pad}}; }

/// What follows a convolution at once.
enum class Rectifier {
  kNone,
  kRelu,  ///< what is below 0 becomes 0; what is no number stays so or becomes 0 (by oneDNN)
};

/// x [n, in, h, w], weight float32 [out, in, k, l], bias float32 [out]; returns [n, out, ...] of dtype
/// `result`, channels-last. Differentiable once; the gradients of weight and bias are float32, that of x has
/// x's dtype. On a GPU, where each addition is a pass over memory, `bias` may be undefined and `residual`, as
/// the result is, be given: it is added with the bias.
at::Tensor convolution(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                       const ConvolutionShape& shape, at::ScalarType result, const at::Tensor& residual = {});

/// The same for many evaluations with weights that stay: they are laid out as the processor wants them once
/// per dtype. Not differentiable. May be called from several threads.
class FrozenConvolution {
 public:
  FrozenConvolution(const at::Tensor& weight, const at::Tensor& bias, const ConvolutionShape& shape,
                    Rectifier rectifier = Rectifier::kNone);
  /// What was moved from can only be destroyed.
  FrozenConvolution(FrozenConvolution&&) noexcept;
  ~FrozenConvolution();

  at::Tensor operator()(const at::Tensor& x, at::ScalarType result) const;
  /// In x's dtype, with another bias and a residual for its own bias and rectifier, either or both undefined;
  /// on GPUs.
  at::Tensor with_bias(const at::Tensor& bias, const at::Tensor& x, const at::Tensor& residual = {}) const;
  /// Adds the convolution to `sum`, which has the shape and layout of the result. Not with a rectifier.
  void add_to(at::Tensor& sum, const at::Tensor& x) const;

 private:
  struct Packed;
  struct Operands {
    at::Tensor weight, bias;
  };
  Operands on_gpu(at::ScalarType dtype) const;
  void run(const onednn::Problem& problem, const at::Tensor& x, at::Tensor& y) const;

  at::Tensor weight_, bias_;
  ConvolutionShape shape_;
  Rectifier rectifier_;
  std::unique_ptr<Packed> packed_;
};

}  // namespace ddpm_eval::tensor
