#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::data {

/// One picture of many: uint8 [n, C, H, W] laid out row by row in at most `columns` columns, black lines of
/// `padding` pixels around and between them. uint8 [C, rows (H + padding) + padding, columns (W + padding) +
/// padding].
at::Tensor image_grid(const at::Tensor& images_u8, int64_t columns, int64_t padding = 2);

}  // namespace ddpm_eval::data
