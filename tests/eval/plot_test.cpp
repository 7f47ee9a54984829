#include "eval/plot.h"

#include "base/core/error.h"
#include "eval/gnuplot.h"
#include "eval/svg.h"
#include "tests/support/environment.h"
#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"

#include <filesystem>
#include <regex>
#include <tuple>

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace ddpm_eval::eval {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::message_of;
using ::testing::Not;
using testing::TempDir;

std::string drawn(const Plot& plot) {
  const auto documents = draw_plots({&plot, 1}, Paper::kTransparent);
  EXPECT_TRUE(documents) << "gnuplot is not installed";
  return documents ? documents->front() : std::string();
}

size_t count_of(const std::string& text, const std::string& what) {
  size_t count = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) {
    ++count;
  }
  return count;
}

CurvePlot two_curves() {
  return {"step",
          "loss",
          {{"first", {{0, 1, 0.5, 2}, {5, 3, 2, 4}, {10, 2, 1, 3}}, Marks::kLine, Interval::kBand},
           {"second", {{0, 2}, {10, 4}}, Marks::kLineAndPoints, Interval::kBars}}};
}

TEST(Plot, CurvesHaveBandsBarsAndAKey) {
  const auto svg = drawn(two_curves());
  EXPECT_THAT(svg, AllOf(HasSubstr("<svg"), HasSubstr("<polygon fill = 'rgb(  0, 114, 178)'"),
                         HasSubstr("<path stroke='rgb(  0, 114, 178)'"),
                         HasSubstr("<path stroke='rgb(213,  94,   0)'"), HasSubstr("<text>first</text>"),
                         HasSubstr("<text>second</text>"), HasSubstr("<text>step</text>"),
                         HasSubstr("<text>loss</text>")));
}

TEST(Plot, WhatALogarithmicAxisCannotShowIsCounted) {
  CurvePlot curve{"step", "loss", {{"", {{1, 1}, {2, 0}, {3, -2}, {4, kNoNumber}, {0, 1}}}}};
  EXPECT_EQ(left_off_log_axes(curve), 0);
  curve.log_y = true;
  EXPECT_EQ(left_off_log_axes(curve), 2);
  curve.x_axis = XAxis::kLog;
  EXPECT_EQ(left_off_log_axes(curve), 3);
  EXPECT_EQ(left_off_log_axes(RowPlot{"distance", {{"a", 0.1}, {"b", 0}, {"c", kNoNumber}}, {}, true}), 1);
}

TEST(Plot, LongNumbersOfTheXAxisHaveRoom) {
  CurvePlot curve{"step", "loss", {{"", {{500, 1}, {5000, 2}}}}};
  const RowPlot rows{"distance", {{"a", 0.0005, 0.0004, 0.0006}, {"b", 0.0045}}};
  for (const auto& [svg, shown, left_out] :
       {std::tuple(drawn(curve), ">2000<", ">1500<"), std::tuple(drawn(rows), ">0.002<", ">0.0015<")}) {
    EXPECT_THAT(svg, AllOf(HasSubstr(shown), Not(HasSubstr(left_out))));
  }
  curve.series[0].points.pop_back();
  EXPECT_THAT(drawn(curve), HasSubstr("<svg")) << "one point has no range";
}

TEST(Plot, TheSamePlotsGiveTheSameBytes) {
  const std::vector<Plot> plots = {two_curves(), ScatterPlot{{{0, 0}}, {{0.5, 0.5}}}, two_curves()};
  const auto once = draw_plots(plots, Paper::kTransparent);
  EXPECT_EQ(once, draw_plots(plots, Paper::kTransparent));
  ASSERT_EQ(once->size(), 3U);
  EXPECT_EQ((*once)[0], (*once)[2]);
  EXPECT_THAT((*once)[0],
              AllOf(Not(HasSubstr("GNUPLOT")), Not(HasSubstr("'white'")), Not(HasSubstr("gnuplot_plot"))));
  EXPECT_EQ(draw_plots({}, Paper::kWhite)->size(), 0U);
}

// Names of cells and sources come from files; gnuplot's language can start programs.
TEST(Plot, TextsAreShownAndMeanNothing) {
  const TempDir dir;
  const auto planted = [&](const char* name) { return (dir / name).string(); };
  const std::vector<std::string> hostile = {fmt::format("`touch {}`", planted("a")),
                                            fmt::format("'; system('touch {}') #", planted("b")),
                                            fmt::format("\"`touch {}`\"", planted("c")),
                                            fmt::format("x\nsystem('touch {}')\n'", planted("d")),
                                            fmt::format("END\n! touch {}\n", planted("e")),
                                            "@GPVAL_VERSION",
                                            "%s 100% %d",
                                            "DPM++(2M)",
                                            "\\",
                                            "'",
                                            "<script>alert(1)</script></svg>",
                                            "{/Bold x}_1^2",
                                            "\xff\x01"};
  CurvePlot curves;
  RowPlot rows;
  for (const auto& text : hostile) {
    curves.series.push_back({text, {{0, 1}, {1, 2}}});
    rows.rows.push_back({text, 1, 0.5, 2});
  }
  for (const auto& text : hostile) {
    curves.x_label = curves.y_label = rows.x_label = text;
    for (const Plot& plot : {Plot(curves), Plot(rows)}) {
      const auto svg = drawn(plot);
      EXPECT_THAT(svg, AllOf(HasSubstr("<text>{/Bold x}_1^2</text>"),
                             HasSubstr("<text>@GPVAL_VERSION</text>"), HasSubstr("<text>%s 100% %d</text>"),
                             HasSubstr("<text>DPM++(2M)</text>"), HasSubstr("<text>\\</text>"),
                             HasSubstr("<text>'</text>"), HasSubstr("<text>\\xff\\x01</text>"),
                             HasSubstr("&lt;script>"), Not(HasSubstr("<script"))));
      EXPECT_EQ(count_of(svg, "</svg>"), 1U);
    }
  }
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST(Plot, AConstantOfGnuplotsLanguageHasNothingToEndItWith) {
  EXPECT_EQ(gnuplot_text("it's `x` \\ \"é\" @a"), "\"it\\047s \\140x\\140 \\134 \\042é\\042 \\100a\"");
  EXPECT_EQ(gnuplot_text("++(2M)7"), "\"\\053\\053\\050\\062M\\051\\067\"");
  EXPECT_EQ(gnuplot_text("a\nb"), "\"a\\134nb\"");
  EXPECT_EQ(gnuplot_text("abcdef", 3), "\"abc\\056\\056\\056\"");
}

TEST(Plot, ALogAxisLeavesOutWhatHasNoLogarithm) {
  CurvePlot plot{"t", "y", {{"", {{0, 0.01}, {1, 0}, {2, -5}, {3, 100}, {4, kNoNumber}}}}};
  EXPECT_THAT(drawn(plot), HasSubstr("<text>-20</text>"));
  plot.log_y = true;
  EXPECT_THAT(drawn(plot), AllOf(HasSubstr("<text>0.01</text>"), HasSubstr("<text>100</text>"),
                                 Not(HasSubstr("<text>-"))));
  plot.series[0].points = {{0, 0}, {1, -1}};
  EXPECT_FALSE(has_points(plot));
  plot.log_y = false;
  EXPECT_TRUE(has_points(plot));
}

TEST(Plot, NumbersBeyondReasonAreNotDrawn) {
  CurvePlot plot{"x", "y", {{"", {{0, 1e308}, {1, -1e308}, {2, INFINITY}}}}};
  EXPECT_FALSE(has_points(plot));
  plot.series[0].points.push_back({3, 1e299});
  EXPECT_TRUE(has_points(plot));
  EXPECT_THAT(drawn(plot), HasSubstr("1e+299"));
}

TEST(Plot, RowsHaveTheirNamesAndALineForTheFloor) {
  RowPlot plot{"distance", {{"one", 0.2, 0.1, 0.3, {0.1, 0.3}}, {"two: no number", kNoNumber}}, 0.05};
  const auto svg = drawn(plot);
  EXPECT_THAT(svg, AllOf(HasSubstr("<text>one</text>"), HasSubstr("<text>two: no number</text>"),
                         HasSubstr("stroke='rgb(  0, 158, 115)'")));
  plot.rows.erase(plot.rows.begin());
  EXPECT_FALSE(has_points(plot));
}

TEST(Plot, DatesAreDates) {
  CurvePlot plot{"", "y", {{"", {{1764122400, 1}, {1764122400 + 30 * 86400, 2}}}}};
  plot.x_axis = XAxis::kTime;
  EXPECT_THAT(drawn(plot), HasSubstr("<text>2025-12-"));
}

TEST(Plot, DotsOutsideOfTheSquareAreNotDrawn) {
  const auto points_in = [](const ScatterPlot& plot) {
    const auto svg = drawn(plot);
    const auto begin = svg.find("<path stroke='rgb(  0, 114, 178)'");
    return count_of(svg.substr(begin, svg.find("/>", begin) - begin), "M");
  };
  ScatterPlot plot{{}, {{0.5, 0.5}, {-0.5, 0}, {2, 0}, {0, -1.5}}};
  EXPECT_EQ(points_in(plot), 2U);
  plot.half = 2.5;
  EXPECT_EQ(points_in(plot), 4U);
}

TEST(Plot, NothingToDrawIsABug) {
  const Plot plot = CurvePlot{"x", "y", {}};
  EXPECT_THROW(draw_plots({&plot, 1}, Paper::kWhite), core::LogicError);
}

TEST(Plot, WithoutGnuplotThereIsNothing) {
  const testing::Environment path("PATH", "/nowhere");
  const Plot plot = two_curves();
  EXPECT_EQ(draw_plots({&plot, 1}, Paper::kWhite), std::nullopt);
}

TEST(Plot, WhatGnuplotSaysIsTold) {
  EXPECT_THAT(message_of<core::ResourceError>([] { run_gnuplot("plot 'a\n"); }),
              HasSubstr("gnuplot does not draw a plot: "));
}

TEST(Svg, InAPageNamesDifferAndColoursAreTheStyleSheets) {
  CurvePlot curves = two_curves();
  curves.y_label = "'black' id='a' rgb(0,0,0) xmlns";
  const auto svg = inline_svg(drawn(curves), "p7-", "Loss \"<&>\"");
  EXPECT_THAT(svg,
              AllOf(HasSubstr("<svg role=\"img\" aria-label=\"Loss &quot;&lt;&amp;&gt;&quot;\""),
                    HasSubstr("id=\"p7-gnuplot_canvas\""), HasSubstr("stroke='var(--p0)'"),
                    HasSubstr("stroke='var(--p1)'"), HasSubstr("'var(--grid)'"), HasSubstr("'var(--axis)'"),
                    HasSubstr("fill=\"currentColor\""), Not(HasSubstr("http")), Not(HasSubstr("xlink"))));
  EXPECT_THAT(svg, HasSubstr("<text>'black' id='a' rgb(0,0,0) xmlns</text>")) << "texts stay";
  // Every name that is referred to is there.
  const std::regex reference("href='#([^']+)'");
  size_t references = 0;
  for (auto it = std::sregex_iterator(svg.begin(), svg.end(), reference); it != std::sregex_iterator();
       ++it) {
    EXPECT_THAT(svg, HasSubstr(" id='" + (*it)[1].str() + "'"));
    ++references;
  }
  EXPECT_GT(references, 2U);
}

}  // namespace
}  // namespace ddpm_eval::eval
