#include "base/data/grid.h"

#include "tests/support/tensor_matchers.h"

namespace ddpm_eval::data {
namespace {

using testing::TensorEq;

TEST(Grid, LaysImagesOutRowByRow) {
  const at::Tensor images =
      torch::tensor({1, 2, 3}, torch::kUInt8).reshape({3, 1, 1, 1}).expand({3, 1, 1, 2});
  const at::Tensor want = torch::tensor({{0, 0, 0, 0, 0, 0, 0},
                                         {0, 1, 1, 0, 2, 2, 0},
                                         {0, 0, 0, 0, 0, 0, 0},
                                         {0, 3, 3, 0, 0, 0, 0},
                                         {0, 0, 0, 0, 0, 0, 0}},
                                        torch::kUInt8);
  EXPECT_THAT(image_grid(images, 2, 1), TensorEq(want.unsqueeze(0)));
}

TEST(Grid, FewImagesNeedFewColumns) {
  const at::Tensor images = torch::randint(0, 256, {2, 3, 4, 5}, torch::kUInt8);
  EXPECT_THAT(image_grid(images, 8, 0), TensorEq(torch::cat({images[0], images[1]}, 2)));
  EXPECT_EQ(image_grid(images, 1).sizes(), (std::vector<int64_t>{3, 14, 9}));
}

}  // namespace
}  // namespace ddpm_eval::data
