#include "base/data/grid.h"

#include "base/core/error.h"
#include "base/tensor/shape.h"

#include <torch/types.h>

namespace ddpm_eval::data {

at::Tensor image_grid(const at::Tensor& images_u8, int64_t columns, int64_t padding) {
  tensor::expect(images_u8, at::kByte, {-1, -1, -1, -1}, "images_u8");
  const int64_t count = images_u8.size(0), height = images_u8.size(2), width = images_u8.size(3);
  DDPM_CHECK(count >= 1 && columns >= 1 && padding >= 0, "{} images in {} columns", count, columns);
  columns = std::min(columns, count);
  const int64_t rows = (count + columns - 1) / columns;
  const int64_t step_y = height + padding, step_x = width + padding;
  at::Tensor grid =
      torch::zeros({images_u8.size(1), rows * step_y + padding, columns * step_x + padding}, torch::kUInt8);
  for (int64_t i = 0; i < count; ++i) {
    grid.narrow(1, padding + i / columns * step_y, height)
        .narrow(2, padding + i % columns * step_x, width)
        .copy_(images_u8[i]);
  }
  return grid;
}

}  // namespace ddpm_eval::data
