#include "eval/sheet.h"

#include "tests/support/tensor_matchers.h"

namespace ddpm_eval::eval {
namespace {

using testing::TensorEq;

at::Tensor cell(int value, int64_t channels = 1) {
  return torch::full({channels, 10, 20}, value, torch::kUInt8);
}

/// Columns, or rows, in which any pixel of the picture is `value`.
std::vector<int64_t> columns_with(const at::Tensor& picture, int value) {
  const auto found = picture.eq(value).any(0).any(0).nonzero().flatten();
  return {found.data_ptr<int64_t>(), found.data_ptr<int64_t>() + found.numel()};
}

TEST(SheetTest, CellsAreEvenlySpacedAndWhole) {
  const Sheet sheet{.cells = {cell(1), cell(2), cell(3), cell(4), cell(5)}, .columns = 3};
  const auto picture = render(sheet);
  EXPECT_EQ(picture.sizes(), (at::IntArrayRef{1, 12 + 10 + 6 + 10 + 12, 12 + 3 * 20 + 2 * 6 + 12}));
  for (int i = 0; i < 5; ++i) {
    const int64_t top = 12 + i / 3 * 16, left = 12 + i % 3 * 26;
    EXPECT_THAT(picture.narrow(1, top, 10).narrow(2, left, 20), TensorEq(cell(i + 1))) << i;
    EXPECT_EQ(picture.eq(i + 1).sum().item<int64_t>(), 200) << "nowhere else";
  }
}

TEST(SheetTest, OneCellOfColourMakesThePictureColoured) {
  EXPECT_EQ(render({.cells = {cell(1), cell(2)}, .columns = 2}).size(0), 1);
  const auto picture = render({.cells = {cell(1), cell(2, 3)}, .columns = 2});
  EXPECT_EQ(picture.size(0), 3);
  EXPECT_THAT(picture.narrow(1, 12, 10).narrow(2, 12, 20), TensorEq(cell(1, 3)));
}

TEST(SheetTest, WideLabelsSpreadTheColumnsEvenly) {
  const auto picture = render({.cells = {cell(101), cell(102), cell(103)},
                               .columns = 3,
                               .column_labels = {"0", "a very wide label", "2"}});
  std::vector<int64_t> begins;
  for (const int value : {101, 102, 103}) {
    const auto columns = columns_with(picture.narrow(1, picture.size(1) - 22, 10), value);
    ASSERT_EQ(columns.size(), 20U);
    begins.push_back(columns.front());
  }
  EXPECT_EQ(begins[1] - begins[0], begins[2] - begins[1]);
  EXPECT_GT(begins[1] - begins[0], text_width("a very wide label", 9));
}

TEST(SheetTest, LetteringTouchesNoEdge) {
  const auto picture = render({.cells = {cell(100), cell(100)},
                               .columns = 1,
                               .corner = "t =",
                               .column_labels = {"1000"},
                               .row_labels = {"a label that is long", "gypq"},
                               .caption = "a caption wider than what is below it, gypq",
                               .progress = 1.0});
  const auto ink = picture[0].lt(255);
  EXPECT_FALSE(ink.narrow(0, 0, 8).any().item<bool>());
  EXPECT_FALSE(ink.narrow(0, picture.size(1) - 8, 8).any().item<bool>());
  EXPECT_FALSE(ink.narrow(1, 0, 8).any().item<bool>());
  EXPECT_FALSE(ink.narrow(1, picture.size(2) - 8, 8).any().item<bool>());
}

TEST(SheetTest, FramesOfASeriesAreOfOneSizeAndTheBarFollows) {
  const auto frame = [](const std::string& caption, double progress) {
    return render({.cells = {cell(100)},
                   .caption = caption,
                   .caption_width = std::max(caption_width("t = 0"), caption_width("t = 1000")),
                   .progress = progress});
  };
  const auto first = frame("t = 0", 0), middle = frame("t = 1000", 0.5), last = frame("t = 0", 1);
  EXPECT_EQ(first.sizes(), middle.sizes());
  EXPECT_EQ(first.sizes(), last.sizes());
  const auto bar = [](const at::Tensor& picture) {
    const auto row = picture[0][picture.size(1) - 14];
    return row.eq((31 + 95 + 168) / 3).sum().item<int64_t>();
  };
  EXPECT_EQ(bar(first), 0);
  EXPECT_EQ(bar(last), first.size(2) - 24);
  EXPECT_NEAR(static_cast<double>(bar(middle)), static_cast<double>(bar(last)) / 2, 1);
}

TEST(SheetTest, GridsLeaveFewCellsEmpty) {
  EXPECT_EQ(grid_columns(1), 1);
  EXPECT_EQ(grid_columns(2), 2);
  EXPECT_EQ(grid_columns(3), 3);
  EXPECT_EQ(grid_columns(7), 4);
  EXPECT_EQ(grid_columns(8), 4);
  EXPECT_EQ(grid_columns(10), 5);
  EXPECT_EQ(grid_columns(64), 8);
}

TEST(SheetTest, EnlargingRepeatsPixels) {
  const auto image = torch::tensor({1, 2, 3, 4}, torch::kUInt8).view({1, 2, 2});
  EXPECT_THAT(
      enlarged(image, 2),
      TensorEq(
          torch::tensor({1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4}, torch::kUInt8).view({1, 4, 4})));
}

}  // namespace
}  // namespace ddpm_eval::eval
