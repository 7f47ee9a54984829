#include "base/data/framing.h"

#include "tests/support/tensor_matchers.h"

namespace ddpm_eval::data {
namespace {

using ::testing::HasSubstr;
using testing::TensorEq;
using testing::TensorNear;

/// Channel 0 holds the row, channel 1 the column of each pixel.
at::Tensor coordinates(int64_t height, int64_t width) {
  const auto rows = torch::arange(height, torch::kUInt8).view({height, 1}).expand({height, width});
  const auto columns = torch::arange(width, torch::kUInt8).view({1, width}).expand({height, width});
  return torch::stack({rows, columns, columns});
}

TEST(Framing, NothingIsDoneUnlessAskedFor) {
  const auto image = coordinates(5, 9);
  EXPECT_FALSE(Framing{}.changes_images());
  EXPECT_EQ(describe(Framing{}), "");
  EXPECT_THAT(frame_image(image, {}).image_u8, TensorEq(image));
}

TEST(Framing, CenterIsTheLargestSquareInTheMiddle) {
  const auto image = coordinates(5, 10);
  const auto wide = frame_image(image, {.crop = Crop::kCenter}).image_u8;
  EXPECT_THAT(wide, TensorEq(image.narrow(2, 2, 5))) << "of five too many, three go on the right";
  const auto tall = coordinates(11, 4);
  EXPECT_THAT(frame_image(tall, {.crop = Crop::kCenter}).image_u8, TensorEq(tall.narrow(1, 3, 4)));
}

TEST(Framing, CelebAIsTheBoxAroundTheFace) {
  const auto face = frame_image(coordinates(218, 178), {.crop = Crop::kCelebA}).image_u8;
  EXPECT_EQ(face.sizes(), (at::IntArrayRef{3, 128, 128}));
  EXPECT_EQ(face[0][0][0].item<int>(), 57);
  EXPECT_EQ(face[1][0][0].item<int>(), 25);
  EXPECT_EQ(face[0][127][127].item<int>(), 184);
  EXPECT_EQ(face[1][127][127].item<int>(), 152);
  // Centre (89, 121), as others write it: 121 - 64 .. 121 + 64 and 89 - 64 .. 89 + 64, the end left out.
  const auto small = frame_image(coordinates(218, 178), {.crop = Crop::kCelebA, .side = 64}).image_u8;
  EXPECT_EQ(small.sizes(), (at::IntArrayRef{3, 64, 64}));
}

TEST(Framing, ResizingAveragesOverAreas) {
  const auto image = torch::randint(0, 256, {3, 12, 12}, torch::kUInt8);
  const auto blocks = image.to(torch::kFloat64).view({3, 4, 3, 4, 3}).mean({2, 4});
  const auto third = frame_image(image, {.side = 4}).image_u8;
  EXPECT_THAT(third, TensorNear(blocks, 0.5001)) << "the mean of nine, rounded";
  // 3 to 2: each new pixel covers one and a half of the old.
  const auto row = torch::tensor({0, 90, 240}, torch::kUInt8).view({1, 1, 3}).expand({1, 3, 3});
  EXPECT_THAT(frame_image(row, {.side = 2}).image_u8,
              TensorEq(torch::tensor({30, 190, 30, 190}, torch::kUInt8).view({1, 2, 2})));
  EXPECT_THAT(frame_image(image, {.side = 12}).image_u8, TensorEq(image)) << "nothing to do";
}

TEST(Framing, WhatDoesNotSuitIsToldWithItsSize) {
  const auto problem = [](int64_t height, int64_t width, const Framing& framing) {
    const auto outcome = frame_image(torch::zeros({3, height, width}, torch::kUInt8), framing);
    EXPECT_FALSE(outcome.image_u8.defined());
    return outcome.problem;
  };
  EXPECT_EQ(problem(4, 6, {.side = 4}), "has 6 x 4 pixels, no square; add crop=center");
  EXPECT_THAT(problem(9, 7, {.crop = Crop::kCenter, .side = 8}),
              HasSubstr("has 7 x 7 pixels to use, and nothing is enlarged to side=8"));
  EXPECT_THAT(problem(178, 218, {.crop = Crop::kCelebA}),
              HasSubstr("has 218 x 178 pixels, and crop=celeba is for the aligned 178 x 218"));
}

}  // namespace
}  // namespace ddpm_eval::data
