#include "base/tensor/symmetry.h"

#include <gmock/gmock.h>
#include <torch/types.h>

namespace ddpm_eval::tensor {
namespace {

TEST(Symmetry, TheWorstPairIsFoundInEveryTile) {
  const at::Tensor half = torch::rand({150, 150}, torch::kFloat64);
  const at::Tensor symmetric = half + half.t();
  EXPECT_EQ(measure_asymmetry(symmetric).difference, 0.0);
  EXPECT_EQ(measure_asymmetry(symmetric).largest, symmetric.abs().max().item<double>());
  for (const auto& [row, column] : {std::pair{1, 0}, {140, 3}, {149, 148}, {65, 63}}) {
    at::Tensor matrix = symmetric.clone();
    matrix[row][column] = -5.0;
    const auto found = measure_asymmetry(matrix);
    EXPECT_EQ(found.row, row);
    EXPECT_EQ(found.column, column);
    EXPECT_EQ(found.largest, 5.0);
    EXPECT_DOUBLE_EQ(found.difference, 5.0 + symmetric[row][column].item<double>());
  }
}

TEST(Symmetry, TheToleranceIsRelativeToTheLargestElement) {
  at::Tensor matrix = torch::eye(3, torch::kFloat64) * 1000;
  matrix[0][2] = 0.99e-2;
  EXPECT_TRUE(measure_asymmetry(matrix).acceptable());
  matrix[0][2] = 1.01e-2;
  EXPECT_FALSE(measure_asymmetry(matrix).acceptable());
  EXPECT_TRUE(measure_asymmetry(torch::zeros({2, 2}, torch::kFloat64)).acceptable());
}

}  // namespace
}  // namespace ddpm_eval::tensor
