#include "eval/line_plot.h"

#include "base/core/error.h"

#include <gmock/gmock.h>

namespace ddpm_eval::eval {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(LinePlot, EndsLieOnTheAxes) {
  const auto svg = render_svg({"T", "x", "y", {{0, 1}, {5, 3}, {10, 2}}, false});
  // The plot area is 80..620 by 36..348, y upwards.
  EXPECT_THAT(svg, HasSubstr("points=\"80.00,348.00 350.00,36.00 620.00,192.00 \""));
  EXPECT_THAT(svg, HasSubstr("<svg xmlns=\"http://www.w3.org/2000/svg\""));
}

TEST(LinePlot, ALogAxisLeavesOutWhatHasNoLogarithm) {
  const auto svg = render_svg({"T", "x", "y", {{0, 0.01}, {1, 0}, {2, 100}}, true});
  EXPECT_THAT(svg, HasSubstr("points=\"80.00,348.00 620.00,36.00 \""));
  EXPECT_THAT(svg, HasSubstr(">1e-2<"));
  EXPECT_THAT(svg, HasSubstr(">1e2<"));
}

TEST(LinePlot, TextsAreEscaped) {
  const auto svg = render_svg({"<script>", "a & b", "y", {{0, 1}}, false});
  EXPECT_THAT(svg, Not(HasSubstr("<script>")));
  EXPECT_THAT(svg, HasSubstr("a &amp; b"));
}

TEST(LinePlot, NothingToDrawIsABug) {
  EXPECT_THROW(render_svg({"T", "x", "y", {{0, -1}}, true}), core::LogicError);
}

}  // namespace
}  // namespace ddpm_eval::eval
