#include "base/data/palette.h"

#include <gmock/gmock.h>

namespace ddpm_eval::data {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

TEST(Palette, GreysAreEvenlySpaced) {
  EXPECT_THAT(Palette::greys(4).colours(),
              ElementsAre(Colour{0, 0, 0}, Colour{85, 85, 85}, Colour{170, 170, 170}, Colour{255, 255, 255}));
  EXPECT_EQ(Palette::greys(4).index_of({127, 127, 127}), 1);
  EXPECT_EQ(Palette::greys(4).index_of({128, 128, 128}), 2);
  for (int grey = 0; grey < 256; ++grey) {
    const auto value = static_cast<uint8_t>(grey);
    EXPECT_EQ(Palette::greys(256).index_of({value, value, value}), value);
  }
  EXPECT_TRUE(Palette::greys(256).exact());
}

TEST(Palette, FewColoursAreKept) {
  const std::vector<Colour> pixels = {{9, 8, 7}, {1, 2, 3}, {9, 8, 7}, {200, 0, 0}};
  const auto palette = Palette::of_pixels(pixels, 3);
  EXPECT_TRUE(palette.exact());
  EXPECT_THAT(palette.colours(), UnorderedElementsAre(Colour{9, 8, 7}, Colour{1, 2, 3}, Colour{200, 0, 0}));
  for (const auto& pixel : pixels) {
    EXPECT_EQ(palette.colours()[palette.index_of(pixel)], pixel);
  }
}

TEST(Palette, TwoGroupsBecomeTheirMeans) {
  const std::vector<Colour> pixels = {{0, 10, 0}, {0, 20, 0}, {0, 240, 4}, {0, 250, 4}, {0, 250, 4}};
  const auto palette = Palette::of_pixels(pixels, 2);
  EXPECT_FALSE(palette.exact());
  // The median of five is the third: 240 is the last of the lower half or the first of the upper one.
  EXPECT_THAT(palette.colours(), UnorderedElementsAre(Colour{0, 15, 0}, Colour{0, 247, 4}));
  EXPECT_EQ(palette.index_of({0, 10, 0}), palette.index_of({0, 20, 0}));
  EXPECT_NE(palette.index_of({0, 20, 0}), palette.index_of({0, 240, 4}));
}

TEST(Palette, ACommonColourDoesNotStopTheCutting) {
  std::vector<Colour> pixels(1000, Colour{255, 255, 255});
  for (uint8_t i = 0; i < 100; ++i) {
    pixels.push_back({i, 0, 0});
  }
  const auto palette = Palette::of_pixels(pixels, 16);
  EXPECT_EQ(palette.colours().size(), 16U);
  EXPECT_EQ(palette.colours()[palette.index_of({255, 255, 255})], (Colour{255, 255, 255}));
}

}  // namespace
}  // namespace ddpm_eval::data
