#pragma once

#include <cstdint>

// Softmax over rows of plain arrays, without LibTorch. Equal bits with every instruction set.
namespace ddpm_eval::ddpm::detail {

/// Each row of `x` [rows, width] becomes its softmax.
void softmax_rows(int64_t rows, int64_t width, float* x);

/// From the softmax `y`, the gradient by y in `dy` becomes that by what softmax was taken of.
void softmax_rows_gradient(int64_t rows, int64_t width, const float* y, float* dy);

}  // namespace ddpm_eval::ddpm::detail
