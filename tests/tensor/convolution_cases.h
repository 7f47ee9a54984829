#pragma once

#include "base/tensor/convolution.h"
#include "base/tensor/noise.h"

namespace ddpm_eval::tensor::testing {

inline at::Tensor draws(const char* purpose, at::IntArrayRef shape) {
  return normal_rows({3, purpose}, index_range(0, shape[0]), 0, shape.slice(1));
}

/// One convolution: its channels, the side of its kernel and of its input.
struct Case {
  int64_t in, out, kernel, side;
  ConvolutionShape shape;
};

inline const Case kCases[] = {{32, 48, 3, 8, {1, 1, 1}}, {16, 16, 3, 10, {2, 0, 1}},
                              {24, 40, 1, 5, {1, 0, 0}}, {3, 16, 3, 8, {1, 1, 1}},
                              {16, 1, 3, 7, {1, 1, 1}},  {1, 8, 3, 6, {1, 1, 1}},
                              {48, 32, 3, 9, {1, 1, 1}}, {32, 32, 3, 11, {1, 0, 0}},
                              {64, 32, 3, 8, {1, 0, 2}}, {32, 64, 3, 32, {1, 1, 1}}};

}  // namespace ddpm_eval::tensor::testing
