#include "eval/point_panel.h"

#include <set>

#include <gmock/gmock.h>
#include <torch/types.h>

namespace ddpm_eval::eval {
namespace {

TEST(PointPanel, TheViewIsASquareAroundAllPoints) {
  const auto points = torch::tensor({-1.0F, 2.0F, 3.0F, 4.0F, 0.0F, 2.5F}).view({3, 1, 2});
  const auto view = view_of(points);
  EXPECT_DOUBLE_EQ(view.x, 1);
  EXPECT_DOUBLE_EQ(view.y, 3);
  EXPECT_NEAR(view.half, 2 * 1.04, 1e-12);
  EXPECT_EQ(view_of(torch::zeros({2, 2})).half, 1) << "one place still has a view";
}

/// Red of the pixel at which a point of the plane is.
int red_at(const at::Tensor& panel, const PlaneView& view, double x, double y) {
  const auto side = static_cast<double>(panel.size(2));
  const auto column = static_cast<int64_t>((x - view.x + view.half) / (2 * view.half) * side);
  const auto row = static_cast<int64_t>((view.y + view.half - y) / (2 * view.half) * side);
  return panel[0][row][column].item<int>();
}

TEST(PointPanel, PointsAreWhereTheyAreAndYPointsUp) {
  const PlaneView view{0, 0, 1};
  const auto panel =
      point_panel(torch::tensor({0.51F, 0.71F}).view({1, 2}), view, {.side = 200, .numbers = false});
  EXPECT_EQ(panel.sizes(), (at::IntArrayRef{3, 200, 200}));
  EXPECT_LT(red_at(panel, view, 0.51, 0.71), 200);
  EXPECT_EQ(red_at(panel, view, 0.51, -0.71), 255);
  EXPECT_EQ(red_at(panel, view, -0.51, 0.71), 255);
}

TEST(PointPanel, MorePointsAreDarkerInAnyOrder) {
  const PlaneView view{0, 0, 1};
  const auto one = torch::tensor({0.51F, 0.71F}).view({1, 2});
  const PanelOptions options{.side = 200, .numbers = false};
  const int once = red_at(point_panel(one, view, options), view, 0.51, 0.71);
  const int thrice = red_at(point_panel(one.expand({3, 2}), view, options), view, 0.51, 0.71);
  EXPECT_LT(thrice, once);
  const auto cloud = torch::rand({300, 2}) - 0.5;
  EXPECT_TRUE(torch::equal(point_panel(cloud, view, options), point_panel(cloud.flip(0), view, options)));
}

TEST(PointPanel, PointsOutsideOfTheViewAreMarkedOnItsEdge) {
  const PlaneView view{0, 0, 1};
  const PanelOptions options{.side = 100, .numbers = false};
  const auto outside = torch::tensor({5.0F, 0.0F, 0.0F, -1e30F}).view({2, 2});
  const auto panel = point_panel(outside, view, options),
             empty = point_panel(torch::zeros({0, 2}), view, options);
  const auto changed = (panel != empty).any(0);
  EXPECT_EQ(changed.sum().item<int64_t>(), 2 * 9);
  EXPECT_TRUE(changed[50][99].item<bool>()) << "to the right";
  EXPECT_TRUE(changed[99][50].item<bool>()) << "below";
  EXPECT_EQ(panel[0][50][99].item<int>(), 176);
}

TEST(PointPanel, AnOutlierDoesNotSetTheView) {
  auto points = torch::linspace(-1, 1, 1000).view({500, 2}).clone();
  const auto plain = view_of(points);
  EXPECT_NEAR(plain.half, 1.04, 0.01) << "the ends of a shape are no outliers";
  points[7][0] = 1e6F;
  points[8][1] = -1e6F;
  const auto view = view_of(points);
  EXPECT_LT(view.half, 2 * plain.half);
  EXPECT_NEAR(view.half, 1.04 * (2 + 0.5 * 1.98) / 2, 0.03) << "half of the bulk's width beyond it at most";
}

TEST(PointPanel, AGifCanHoldItsColours) {
  const auto panel = point_panel(torch::randn({5000, 2}), {0, 0, 3}, {.side = 400});
  EXPECT_GT(panel.size(2), 400) << "numbers stand outside of the square";
  std::set<int64_t> colours;
  const auto packed =
      (panel[0].to(torch::kInt64) * 65536 + panel[1].to(torch::kInt64) * 256 + panel[2]).flatten();
  for (int64_t i = 0; i < packed.numel(); ++i) {
    colours.insert(packed.data_ptr<int64_t>()[i]);
  }
  EXPECT_LE(colours.size(), 160U);
}

}  // namespace
}  // namespace ddpm_eval::eval
