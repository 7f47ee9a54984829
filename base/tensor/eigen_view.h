#pragma once

#include "base/core/error.h"
#include "base/tensor/shape.h"

#include <Eigen/Core>
#include <torch/types.h>

namespace ddpm_eval::tensor {

using RowMajorMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// A contiguous float64 CPU tensor [rows, cols] seen as an Eigen matrix, without a copy. Valid while `tensor`
/// lives: never pass a temporary.
inline Eigen::Map<RowMajorMatrix> eigen_view(at::Tensor& tensor) {
  expect(tensor, at::kDouble, {-1, -1}, "matrix");
  DDPM_CHECK(tensor.is_contiguous(), "eigen_view needs a contiguous tensor");
  return {tensor.data_ptr<double>(), tensor.size(0), tensor.size(1)};
}
Eigen::Map<RowMajorMatrix> eigen_view(at::Tensor&& temporary) = delete;

}  // namespace ddpm_eval::tensor
