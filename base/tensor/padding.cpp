#include "base/tensor/padding.h"

#include <torch/types.h>

namespace ddpm_eval::tensor {

at::Tensor Padding::around(const at::Tensor& x) const {
  if (even()) {
    return x;
  }
  return torch::constant_pad_nd(
      x, {shape_.pad_begin[1], shape_.pad_end[1], shape_.pad_begin[0], shape_.pad_end[0]});
}

at::Tensor Padding::without(const at::Tensor& padded) const {
  if (even()) {
    return padded;
  }
  const auto inner = [&](const at::Tensor& x, int64_t direction) {
    const int64_t begin = shape_.pad_begin[direction], end = shape_.pad_end[direction];
    return x.narrow(2 + direction, begin, x.size(2 + direction) - begin - end);
  };
  return inner(inner(padded, 0), 1);
}

std::vector<int64_t> to_numbers(const ConvolutionShape& shape) {
  return {shape.stride, shape.pad_begin[0], shape.pad_begin[1], shape.pad_end[0], shape.pad_end[1]};
}

ConvolutionShape from_numbers(const std::vector<int64_t>& numbers) {
  return {numbers.at(0), {numbers.at(1), numbers.at(2)}, {numbers.at(3), numbers.at(4)}};
}

}  // namespace ddpm_eval::tensor
