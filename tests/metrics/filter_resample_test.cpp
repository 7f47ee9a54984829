#include "metrics/filter_resample.h"

#include "base/core/digest.h"
#include "tests/support/inception_golden.h"
#include "tests/support/synthetic_inception.h"
#include "tests/support/tensor_matchers.h"

#include <cmath>
#include <fstream>

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::metrics {
namespace {

using testing::synthetic_image;
using testing::TensorEq;
using testing::TensorNear;

constexpr int64_t kSide = 299;

double cubic(double x) {
  x = std::abs(x);
  return x < 1 ? 1.5 * x * x * x - 2.5 * x * x + 1 : x < 2 ? -0.5 * x * x * x + 2.5 * x * x - 4 * x + 2 : 0;
}

double triangle(double x) { return std::max(0.0, 1 - std::abs(x)); }

/// The matrix [out, in] of a filter of that reach, in float64: no loop is shared with the program.
at::Tensor matrix(int64_t in, int64_t out, double reach, double (*filter)(double)) {
  const double scale = double(in) / double(out), widening = std::max(scale, 1.0);
  const auto weights = torch::zeros({out, in}, torch::kFloat64);
  for (int64_t o = 0; o < out; ++o) {
    const double centre = (double(o) + 0.5) * scale;
    for (int64_t i = 0; i < in; ++i) {
      const double offset = double(i) + 0.5 - centre;
      if (std::abs(offset) < reach * widening) {
        weights[o][i] = filter(offset / widening);
      }
    }
  }
  return weights / weights.sum(1, /*keepdim=*/true);
}

at::Tensor by_matrices(const at::Tensor& images, int64_t out_h, int64_t out_w, double reach,
                       double (*filter)(double)) {
  const auto x = images.to(torch::kFloat64);
  const auto wide = torch::matmul(x, matrix(x.size(3), out_w, reach, filter).t());
  return torch::matmul(matrix(x.size(2), out_h, reach, filter), wide);
}

struct Sizes {
  int64_t height, width, out_h, out_w;
};

// Up, down, both at once, one pixel, one row, one column, and a photograph.
const std::vector<Sizes> kSizes = {{32, 32, 299, 299},   {1, 1, 299, 299},   {1, 9, 4, 5},
                                   {9, 1, 20, 2},        {5, 700, 299, 299}, {300, 200, 299, 299},
                                   {298, 300, 299, 299}, {340, 480, 33, 70}, {601, 800, 299, 299}};

TEST(FilterResample, AgreesWithTheFiltersAsMatrices) {
  for (const auto& s : kSizes) {
    const at::Tensor image = synthetic_image("filter-test", s.height, s.height, s.width);
    EXPECT_THAT(resample_pillow_bicubic(image, s.out_h, s.out_w),
                TensorNear(by_matrices(image, s.out_h, s.out_w, 2, cubic).clamp(0, 255), 5e-5))
        << s.height << "x" << s.width;
    // Its weights are float32: their error grows with the distance from the left edge.
    EXPECT_THAT(resample_antialiased_bilinear(image, s.out_h, s.out_w),
                TensorNear(by_matrices(image, s.out_h, s.out_w, 1, triangle), 2e-2))
        << s.height << "x" << s.width;
  }
}

TEST(FilterResample, AgreesWithTheFrameworksOwnAntialiasing) {
  for (const auto& s : kSizes) {
    const at::Tensor image = synthetic_image("filter-test", s.width, s.height, s.width);
    const at::Tensor theirs =
        at::_upsample_bilinear2d_aa(image.to(at::kFloat), {s.out_h, s.out_w}, /*align_corners=*/false);
    // Its kernels fuse multiply and add on most processors.
    EXPECT_THAT(resample_antialiased_bilinear(image, s.out_h, s.out_w), TensorNear(theirs, 1e-4));
  }
}

TEST(FilterResample, IsTheIdentityAtTheSameSize) {
  const at::Tensor image = synthetic_image("filter-test", 0, kSide, kSide);
  EXPECT_THAT(resample_pillow_bicubic(image, kSide, kSide), TensorEq(image.to(at::kFloat)));
  EXPECT_THAT(resample_antialiased_bilinear(image, kSide, kSide), TensorEq(image.to(at::kFloat)));
}

/// By Pillow itself: tools/golden/make_bicubic.py.
TEST(FilterResample, OfBytesHasPillowsBits) {
  std::ifstream file(testing::source_dir() / "tests/golden/bicubic.json");
  const auto golden = nlohmann::json::parse(file);
  ASSERT_EQ(golden["cases"].size(), 7u);
  for (const auto& entry : golden["cases"]) {
    const auto image = synthetic_image("bicubic", entry["index"], entry["height"], entry["width"]);
    const int64_t side = golden["side"];
    const auto x = resample_pillow_bicubic_of_bytes(image, side, side);
    EXPECT_TRUE(x.is_contiguous(at::MemoryFormat::ChannelsLast));
    const auto bytes = x.to(at::kByte).contiguous();
    EXPECT_THAT(bytes.to(at::kFloat), TensorEq(x.contiguous())) << "whole numbers";
    EXPECT_EQ(core::sha256_hex({static_cast<const char*>(bytes.data_ptr()), bytes.nbytes()}),
              entry["sha256_of_nchw"])
        << entry["height"] << "x" << entry["width"];
  }
}

TEST(FilterResample, WhatBicubicOvershootsIsClipped) {
  auto image = at::zeros({1, 3, 4, 4}, at::kByte);
  image.narrow(3, 2, 2).fill_(255);
  const auto x = resample_pillow_bicubic(image, 40, 40);
  EXPECT_EQ(x.min().item<float>(), 0.0f);
  EXPECT_EQ(x.max().item<float>(), 255.0f);
}

TEST(FilterResample, RowsOfABatchAreIndependentAndThreadsDoNotMatter) {
  for (const auto resample : {resample_pillow_bicubic, resample_antialiased_bilinear}) {
    std::vector<at::Tensor> ones;
    std::vector<at::Tensor> images;
    for (int64_t i = 0; i < 5; ++i) {
      images.push_back(synthetic_image("filter-test", i, 190, 83));
      ones.push_back(resample(images.back(), 71, 100));
    }
    const int threads = at::get_num_threads();
    at::set_num_threads(3);
    const at::Tensor batch = resample(at::cat(images), 71, 100);
    at::set_num_threads(threads);
    EXPECT_THAT(batch, TensorEq(at::cat(ones)));
    EXPECT_TRUE(batch.is_contiguous(at::MemoryFormat::ChannelsLast));
  }
}

/// The route of GPUs, larger and smaller, to the bit.
TEST(FilterResample, OperatorsGiveTheSameBits) {
  for (const auto& [height, width] : {std::pair{32, 32}, {17, 45}, {1, 3}, {320, 500}, {299, 40}}) {
    const auto images = torch::cat(
        {synthetic_image("operators", 0, height, width), synthetic_image("operators", 1, height, width)});
    EXPECT_THAT(detail::pillow_bicubic_by_operators(images, kSide, kSide),
                TensorEq(resample_pillow_bicubic(images, kSide, kSide)));
    EXPECT_THAT(detail::antialiased_bilinear_by_operators(images, kSide, kSide),
                TensorEq(resample_antialiased_bilinear(images, kSide, kSide)));
  }
}

}  // namespace
}  // namespace ddpm_eval::metrics
