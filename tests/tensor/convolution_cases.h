#pragma once

#include "base/tensor/convolution.h"
#include "base/tensor/noise.h"

namespace ddpm_eval::tensor::testing {

inline at::Tensor draws(const char* purpose, at::IntArrayRef shape) {
  return normal_rows({3, purpose}, index_range(0, shape[0]), 0, shape.slice(1));
}

/// One convolution: its channels, its kernel and the side of its input.
struct Case {
  int64_t in, out;
  Sides kernel;
  int64_t side;
  ConvolutionShape shape;

  at::Tensor weight() const { return draws("weight", {out, in, kernel[0], kernel[1]}); }
  at::Tensor bias() const { return draws("bias", {out, 1}).flatten(); }
  /// In the order of constant_pad_nd.
  std::array<int64_t, 4> padding() const {
    return {shape.pad_begin[1], shape.pad_end[1], shape.pad_begin[0], shape.pad_end[0]};
  }
};

inline const Case kCases[] = {
    {32, 48, {3, 3}, 8, padded(1, 1)},         {16, 16, {3, 3}, 10, {2, {0, 0}, {1, 1}}},
    {24, 40, {1, 1}, 5, padded(1, 0)},         {3, 16, {3, 3}, 8, padded(1, 1)},
    {16, 1, {3, 3}, 7, padded(1, 1)},          {1, 8, {3, 3}, 6, padded(1, 1)},
    {48, 32, {3, 3}, 9, padded(1, 1)},         {32, 32, {3, 3}, 11, padded(1, 0)},
    {64, 32, {3, 3}, 8, {1, {0, 0}, {2, 2}}},  {32, 64, {3, 3}, 32, padded(1, 1)},
    {32, 48, {1, 7}, 9, {1, {0, 3}, {0, 3}}},  {24, 32, {7, 1}, 9, {1, {3, 0}, {3, 0}}},
    {32, 32, {3, 3}, 10, {1, {1, 0}, {1, 2}}}, {16, 32, {3, 2}, 8, {2, {1, 0}, {0, 1}}}};

}  // namespace ddpm_eval::tensor::testing
