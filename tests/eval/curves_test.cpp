#include "eval/report/curves.h"

#include "base/core/error.h"
#include "tests/support/errors.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"

#include <cmath>

#include <gmock/gmock.h>

namespace ddpm_eval::eval {
namespace {

using testing::message_of;
using testing::put_file;
using testing::TempDir;

TEST(Curves, ALogsLinesBecomePoints) {
  const TempDir dir;
  put_file(dir / "log.jsonl",
           "{\"step\": 10, \"loss\": 0.5}\n{\"step\": 20, \"loss\": \"nan\"}\n{\"loss\": 3}\n"
           "{\"step\": 25, \"event\": \"diverged\", \"loss\": 9}\n{\"step\": 30, \"loss\": 0.25}\n{\"st");
  const auto points = log_curve(read_log(dir / "log.jsonl"), "loss");
  ASSERT_EQ(points.size(), 2U);
  EXPECT_EQ(points[0].x, 10);
  EXPECT_EQ(points[1].x, 30);
  EXPECT_EQ(points[1].y, 0.25);
  put_file(dir / "log.jsonl", "{\"step\": 1}\ngarbage\n{\"step\": 2}\n");
  EXPECT_EQ(message_of<core::DataError>([&] { read_log(dir / "log.jsonl"); }),
            (dir / "log.jsonl").string() + ":2: not a line of a training log");
}

TEST(Curves, ThinnedPartsKeepTheirExtremes) {
  std::vector<PlotPoint> points;
  for (int i = 0; i < 10; ++i) {
    points.push_back({static_cast<double>(i), static_cast<double>(i * i)});
  }
  EXPECT_EQ(thinned(points, 10).size(), 10U);
  const auto parts = thinned(points, 2);
  ASSERT_EQ(parts.size(), 2U);
  EXPECT_EQ(parts[0].x, 2);
  EXPECT_EQ(parts[0].y, 6);  // (0 + 1 + 4 + 9 + 16) / 5
  EXPECT_EQ(parts[0].low, 0);
  EXPECT_EQ(parts[0].high, 16);
  EXPECT_EQ(parts[1].y, 51);
  EXPECT_EQ(parts[1].high, 81);
  for (auto& point : points) {
    point.low = -1;
    point.high = 100;
  }
  EXPECT_EQ(thinned(points, 2)[0].low, -1);
  EXPECT_EQ(thinned(points, 2)[1].high, 100);
}

TEST(Curves, OverSeedsIsTheMedianOfThoseThatAreThere) {
  const auto medians = over_seeds({{{1, 5}, {2, 7}}, {{1, 1}, {2, 9}}, {{1, 3}}});
  ASSERT_EQ(medians.size(), 2U);
  EXPECT_EQ(medians[0].y, 3);
  EXPECT_EQ(medians[0].low, 1);
  EXPECT_EQ(medians[0].high, 5);
  EXPECT_EQ(medians[1].y, 8);
}

TEST(Curves, ASingleCurveHasNoSpreadOverSeeds) {
  const auto single = over_seeds({{{1, 5, 4, 6}, {2, 7, 6, 8}}});
  ASSERT_EQ(single.size(), 2U);
  EXPECT_EQ(single[1].y, 7);
  for (const auto& point : single) {
    EXPECT_FALSE(std::isfinite(point.low) || std::isfinite(point.high));
  }
}

TEST(Curves, TheBoundsCurveIsReadByItsColumns) {
  const TempDir dir;
  const auto file = dir / "curve.csv";
  const std::string head = "first_t,steps,term,term_error,x_0_mse\n";
  put_file(file, head + "0,1,0.5,0.1,2\n1,4,-1e-3,0.002,3\n");
  const auto points = read_bound_curve(file);
  ASSERT_EQ(points.size(), 2U);
  EXPECT_EQ(points[0].x, 0);
  EXPECT_EQ(points[0].low, 0.4);
  EXPECT_EQ(points[1].x, 2.5);
  EXPECT_EQ(points[1].y, -1e-3);
  for (const char* line : {"1,2,3,4\n", "1,2,3,4,5,6\n", "1,2,x,4,5\n", "\n", "1;2;3;4;5\n"}) {
    put_file(file, head + "0,1,0.5,0.1,2\n" + line);
    EXPECT_EQ(message_of<core::DataError>([&] { read_bound_curve(file); }),
              file.string() + ":3: not 5 numbers")
        << line;
  }
  put_file(file, "t,term\n");
  EXPECT_EQ(message_of<core::DataError>([&] { read_bound_curve(file); }),
            file.string() +
                ":1: not the curve of a bound: its first line must be first_t,steps,term,term_error,x_0_mse");
}

TEST(Curves, ALogAxisIsForPositiveValuesThatSpanMuch) {
  EXPECT_TRUE(suits_log_axis({{"", {{0, 0.01}, {1, 1}}}}));
  EXPECT_FALSE(suits_log_axis({{"", {{0, 0.5}, {1, 1}}}}));
  EXPECT_FALSE(suits_log_axis({{"", {{0, 0.01}, {1, 1}, {2, -1}}}}));
  EXPECT_FALSE(suits_log_axis({}));
}

}  // namespace
}  // namespace ddpm_eval::eval
