#include "metrics/resample.h"

#include "tests/support/inception_golden.h"
#include "tests/support/synthetic_inception.h"
#include "tests/support/tensor_matchers.h"

#include <cmath>

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/version.h>

namespace ddpm_eval::metrics {
namespace {

using testing::synthetic_image;
using testing::TensorEq;
using testing::TensorNear;

constexpr int64_t kSide = 299;

/// One output pixel at a time, as the rules are stated.
template <class Position, class Value, class Blend>
at::Tensor slowly(const at::Tensor& images, int64_t out_h, int64_t out_w, Position position, Value value,
                  Blend blend) {
  const int64_t height = images.size(2);
  const int64_t width = images.size(3);
  at::Tensor result = at::empty({images.size(0), 3, out_h, out_w});
  const auto in = images.accessor<uint8_t, 4>();
  auto out = result.accessor<float, 4>();
  for (int64_t n = 0; n < images.size(0); ++n) {
    for (int64_t c = 0; c < 3; ++c) {
      for (int64_t oy = 0; oy < out_h; ++oy) {
        for (int64_t ox = 0; ox < out_w; ++ox) {
          const auto y = position(oy, static_cast<float>(height) / static_cast<float>(out_h));
          const auto x = position(ox, static_cast<float>(width) / static_cast<float>(out_w));
          const auto y0 = static_cast<int64_t>(std::floor(y));
          const auto x0 = static_cast<int64_t>(std::floor(x));
          const int64_t y1 = std::min(y0 + 1, height - 1);
          const int64_t x1 = std::min(x0 + 1, width - 1);
          const auto tx = static_cast<float>(x - static_cast<decltype(x)>(x0));
          const auto ty = static_cast<float>(y - static_cast<decltype(y)>(y0));
          const float top = blend(value(in[n][c][y0][x0]), value(in[n][c][y0][x1]), tx);
          const float bottom = blend(value(in[n][c][y1][x0]), value(in[n][c][y1][x1]), tx);
          out[n][c][oy][ox] = blend(top, bottom, ty);
        }
      }
    }
  }
  return result;
}

at::Tensor slow_tf1(const at::Tensor& images, int64_t out_h, int64_t out_w) {
  return slowly(
      images, out_h, out_w, [](int64_t o, float s) { return static_cast<float>(o) * s; },
      [](uint8_t v) { return static_cast<float>(v); },
      [](float a, float b, float t) { return a + (b - a) * t; });
}

at::Tensor slow_half_pixel(const at::Tensor& images, int64_t out_h, int64_t out_w) {
  return slowly(
      images, out_h, out_w,
      [](int64_t o, float s) { return std::max(0.0, s * (static_cast<double>(o) + 0.5) - 0.5); },
      [](uint8_t v) { return static_cast<float>(v) / 255.0f; },
      [](float a, float b, float t) { return (1.0f - t) * a + t * b; });
}

struct Sizes {
  int64_t height, width, out_h, out_w;
};

// Up, down, both at once, one pixel, one row, one column, and photographs.
const std::vector<Sizes> kSizes = {{32, 32, 299, 299},   {1, 1, 299, 299},   {1, 9, 4, 5},
                                   {9, 1, 20, 2},        {5, 700, 299, 299}, {300, 200, 299, 299},
                                   {298, 300, 299, 299}, {640, 480, 33, 70}, {1500, 2000, 299, 299}};

TEST(Resample, EqualsTheRulesWrittenOutPixelByPixel) {
  for (const auto& s : kSizes) {
    const at::Tensor image = synthetic_image("resample-test", s.height, s.height, s.width);
    EXPECT_THAT(resample_tf1_bilinear(image, s.out_h, s.out_w), TensorEq(slow_tf1(image, s.out_h, s.out_w)))
        << s.height << "x" << s.width;
    EXPECT_THAT(resample_half_pixel_bilinear(image, s.out_h, s.out_w),
                TensorEq(slow_half_pixel(image, s.out_h, s.out_w)))
        << s.height << "x" << s.width;
  }
}

TEST(Resample, IsTheIdentityAtTheSameSize) {
  const at::Tensor image = synthetic_image("resample-test", 0, kSide, kSide);
  EXPECT_THAT(resample_tf1_bilinear(image, kSide, kSide), TensorEq(image.to(at::kFloat)));
  EXPECT_THAT(resample_half_pixel_bilinear(image, kSide, kSide), TensorEq(image.to(at::kFloat).div(255)));
}

TEST(Resample, AgreesWithTheFrameworksOwnHalfPixelRule) {
  for (const auto& s : kSizes) {
    const at::Tensor image = synthetic_image("resample-test", s.width, s.height, s.width);
    const at::Tensor theirs =
        at::upsample_bilinear2d(image.to(at::kFloat).div(255), {s.out_h, s.out_w}, /*align_corners=*/false);
    // Its kernels fuse multiply and add on most processors: one unit in the last place. Those of LibTorch 2
    // have their weights in float32.
    const double tolerance = TORCH_VERSION_MAJOR < 2 ? 1.2e-7 : 2e-5;
    EXPECT_THAT(resample_half_pixel_bilinear(image, s.out_h, s.out_w), TensorNear(theirs, tolerance));
  }
}

TEST(Resample, RowsOfABatchAreIndependentAndThreadsDoNotMatter) {
  std::vector<at::Tensor> ones;
  std::vector<at::Tensor> images;
  for (int64_t i = 0; i < 5; ++i) {
    images.push_back(synthetic_image("resample-test", i, 40, 23));
    ones.push_back(resample_tf1_bilinear(images.back(), 71, 50));
  }
  const int threads = at::get_num_threads();
  at::set_num_threads(3);
  const at::Tensor batch = resample_tf1_bilinear(at::cat(images), 71, 50);
  at::set_num_threads(threads);
  EXPECT_THAT(batch, TensorEq(at::cat(ones)));
}

TEST(Resample, WritesChannelsLastMemory) {
  const at::Tensor image = synthetic_image("resample-test", 0, 8, 8);
  EXPECT_TRUE(resample_tf1_bilinear(image, 299, 299).is_contiguous(at::MemoryFormat::ChannelsLast));
  EXPECT_TRUE(resample_half_pixel_bilinear(image, 299, 299).is_contiguous(at::MemoryFormat::ChannelsLast));
}

at::Tensor checkerboard() {
  at::Tensor image = at::empty({1, 3, 32, 32}, at::kByte);
  auto pixels = image.accessor<uint8_t, 4>();
  for (int64_t c = 0; c < 3; ++c) {
    for (int64_t y = 0; y < 32; ++y) {
      for (int64_t x = 0; x < 32; ++x) {
        pixels[0][c][y][x] = (y + x + c) % 2 == 0 ? 0 : 255;
      }
    }
  }
  return image;
}

struct GoldenCase {
  const char* key;
  at::Tensor image;
};

std::vector<GoldenCase> golden_cases() {
  return {{"checkerboard 32x32", checkerboard()},
          {"image resample/0 200x300", synthetic_image("resample", 0, 200, 300)},
          {"image resample/1 5x3", synthetic_image("resample", 1, 5, 3)},
          {"image resample/2 700x400", synthetic_image("resample", 2, 700, 400)}};
}

void expect_golden(const at::Tensor& ours, const nlohmann::json& want, const std::string& label) {
  const at::Tensor flat = ours.contiguous().flatten();
  EXPECT_EQ(testing::sha256_of(flat), want["sha256_of_nchw"].get<std::string>()) << label;
  const at::Tensor values = flat.slice(0, 0, flat.numel(), 1999).to(at::kDouble);
  EXPECT_THAT(values,
              TensorNear(testing::to_tensor(want["every_1999th"]), 1e-6 * values.abs().max().item<double>()))
      << label;
}

TEST(Resample, HasTheBitsOfTorchFidelityAndPytorchFid) {
  const auto golden = testing::inception_golden()["resample"];
  for (const auto& [key, image] : golden_cases()) {
    expect_golden(resample_tf1_bilinear(image, kSide, kSide), golden[key]["tf1"], std::string(key) + " tf1");
    expect_golden(resample_half_pixel_bilinear(image, kSide, kSide), golden[key]["half_pixel"],
                  std::string(key) + " half-pixel");
  }
}

}  // namespace
}  // namespace ddpm_eval::metrics
