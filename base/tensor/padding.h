#pragma once

#include "base/tensor/convolution.h"

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

// A convolution's shape as LibTorch's operators and its graph take it. Private to base/tensor.
namespace ddpm_eval::tensor {

/// LibTorch's convolutions pad alike on opposite sides; what else is wanted goes into the input.
class Padding {
 public:
  explicit Padding(const ConvolutionShape& shape) : shape_(shape) {}

  bool even() const { return shape_.pad_begin == shape_.pad_end; }
  /// What is left for the operator; a view of this object.
  at::IntArrayRef inside() const {
    return even() ? at::IntArrayRef(shape_.pad_begin) : at::IntArrayRef(kNone);
  }
  /// x with what the operator cannot do.
  at::Tensor around(const at::Tensor& x) const;
  /// The part of around(x) that is x.
  at::Tensor without(const at::Tensor& padded) const;

 private:
  static constexpr Sides kNone{};
  ConvolutionShape shape_;
};

/// The positions of a result along rows (0) or columns (1), of an input of `in` and a kernel of `kernel`.
inline int64_t output_side(const ConvolutionShape& shape, size_t direction, int64_t in, int64_t kernel) {
  return (in + shape.pad_begin[direction] + shape.pad_end[direction] - kernel) / shape.stride + 1;
}

/// For the graph of autograd, which saves numbers.
std::vector<int64_t> to_numbers(const ConvolutionShape& shape);
ConvolutionShape from_numbers(const std::vector<int64_t>& numbers);

}  // namespace ddpm_eval::tensor
