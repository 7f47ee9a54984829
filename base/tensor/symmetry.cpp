#include "base/tensor/symmetry.h"

#include "base/tensor/shape.h"

#include <algorithm>
#include <cmath>

namespace ddpm_eval::tensor {
namespace {

void widen(Asymmetry& found, const double* m, int64_t d, int64_t row, int64_t column) {
  const double here = m[row * d + column], mirrored = m[column * d + row];
  found.largest = std::max({found.largest, std::abs(here), std::abs(mirrored)});
  if (const double difference = std::abs(here - mirrored); difference > found.difference) {
    found.difference = difference;
    found.row = row;
    found.column = column;
  }
}

}  // namespace

Asymmetry measure_asymmetry(const at::Tensor& matrix) {
  expect(matrix, at::kDouble, {matrix.size(0), matrix.size(0)}, "matrix");
  const at::Tensor rows = matrix.contiguous();
  const double* m = rows.data_ptr<double>();
  const int64_t d = rows.size(0);
  // Tile by tile: the transpose of a 2048 x 2048 matrix read column by column would miss the cache at every
  // step.
  constexpr int64_t kTile = 64;
  Asymmetry found;
  for (int64_t i0 = 0; i0 < d; i0 += kTile) {
    for (int64_t j0 = 0; j0 <= i0; j0 += kTile) {
      for (int64_t i = i0; i < std::min(i0 + kTile, d); ++i) {
        for (int64_t j = j0; j < std::min(j0 + kTile, i + 1); ++j) {
          widen(found, m, d, i, j);
        }
      }
    }
  }
  return found;
}

}  // namespace ddpm_eval::tensor
