#include "eval/film.h"

#include "base/core/error.h"
#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"

#include <gmock/gmock.h>
#include <torch/types.h>

namespace ddpm_eval::eval {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::message_of;
using ::testing::SizeIs;

FilmOptions options_of(int64_t columns, int64_t frames) {
  return {.strip = "s.png", .gif = "g.gif", .columns = columns, .frames = frames};
}

TEST(Film, BothEndsAndWhatIsEvenlyBetween) {
  const auto plan = plan_both_ends(1000, options_of(5, 3));
  EXPECT_THAT(plan.moments, ElementsAre(0, 250, 500, 750, 1000));
  EXPECT_THAT(plan.strip, ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(plan.gif, ElementsAre(0, 2, 4));
  EXPECT_THAT(plan_both_ends(3, options_of(11, 2)).moments, ElementsAre(0, 1, 2, 3)) << "each once";
  auto no_gif = options_of(3, 50);
  no_gif.gif.clear();
  EXPECT_THAT(plan_both_ends(10, no_gif).moments, ElementsAre(0, 5, 10));
  EXPECT_THAT(plan_both_ends(10, no_gif).gif, IsEmpty());
}

TEST(Film, EstimatesAreTheLastOfEachPart) {
  // t = 950, 900, ..., 0 as steps from the start.
  const auto plan = plan_parts(1000, options_of(20, 20));
  ASSERT_THAT(plan.moments, SizeIs(20));
  for (size_t k = 0; k < 20; ++k) {
    EXPECT_EQ(plan.moments[k], 999 - 950 + 50 * static_cast<int64_t>(k));
  }
  EXPECT_THAT(plan_parts(3, options_of(20, 2)).moments, ElementsAre(0, 1, 2));
}

TEST(Film, SmallImagesAreEnlargedUnlessToldOtherwise) {
  EXPECT_EQ(image_scale({}, 28, 28), 2);
  EXPECT_EQ(image_scale({}, 32, 32), 2);
  EXPECT_EQ(image_scale({}, 64, 64), 1);
  EXPECT_EQ(image_scale({}, 256, 256), 1);
  EXPECT_EQ(image_scale({.scale = 3}, 64, 64), 3);
}

TEST(Film, WhatCannotBeDrawnIsRefused) {
  const testing::TempDir dir;
  const auto refusal = [](const FilmOptions& options) {
    return message_of<core::UsageError>([&] { require_film_options(options); });
  };
  EXPECT_EQ(refusal({}), "say what to make: --strip FILE.png, --gif FILE.gif or both");
  EXPECT_EQ(refusal({.strip = "a.jpg"}), "--strip a.jpg: the name must end in .png");
  EXPECT_EQ(refusal({.gif = "a.png"}), "--gif a.png: the name must end in .gif");
  EXPECT_THAT(refusal({.strip = "a.png", .columns = 1}), HasSubstr("--columns 1: is neither 0"));
  EXPECT_THAT(refusal({.strip = "a.png", .frames = -3}), HasSubstr("--frames -3"));
  EXPECT_THAT(refusal({.strip = "a.png", .scale = 33}), HasSubstr("--scale 33"));
  EXPECT_THAT(refusal({.gif = "a.gif", .gif_options = {.delay_ms = 5}}), HasSubstr("--delay 5"));
  EXPECT_THAT(message_of<core::ResourceError>([&] { require_film_options({.gif = dir / "none/a.gif"}); }),
              HasSubstr("a.gif"));
  const std::vector<int64_t> row{3, 32, 32};
  require_film_size(options_of(11, 41), 64, row);
  EXPECT_THAT(
      message_of<core::UsageError>([&] { require_film_size(options_of(11, 41), 2000, row); }),
      HasSubstr("--strip: 2000 images at 11 moments are 108 million pixels, more than 67; lower --num"));
  EXPECT_THAT(
      message_of<core::UsageError>([&] { require_film_size({.gif = "a.gif", .frames = 100}, 2000, row); }),
      HasSubstr("--gif: 2000 images in 100 frames"));
}

}  // namespace
}  // namespace ddpm_eval::eval
