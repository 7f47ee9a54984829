#include "metrics/extract.h"
#include "metrics/frechet.h"
#include "metrics/inception.h"
#include "metrics/moments.h"
#include "metrics/pool.h"
#include "metrics/resample.h"
#include "tests/support/gpu.h"
#include "tests/support/memory_source.h"
#include "tests/support/synthetic_features.h"
#include "tests/support/synthetic_inception.h"
#include "tests/support/tensor_matchers.h"

#include <cmath>
#include <limits>

// What scoring computes on a card, beside the same on the CPU.
namespace ddpm_eval::metrics {
namespace {

using testing::synthetic_features;
using testing::TensorEq;
using testing::TensorNear;

constexpr auto kLast = at::MemoryFormat::ChannelsLast;

const char* name_of(Pool pool) {
  return pool == Pool::kAverage ? "average" : pool == Pool::kMax ? "max" : "max, stride 2";
}

void expect_pooled_alike(Pool pool, const at::Tensor& x) {
  SCOPED_TRACE(::testing::Message() << name_of(pool) << ", " << x.sizes());
  const auto want = pooled(pool, x);
  const auto y = pooled(pool, x.to(tensor::compute_device()));
  EXPECT_TRUE(y.is_cuda());
  EXPECT_TRUE(y.is_contiguous(kLast));
  const auto got = y.cpu();
  ASSERT_EQ(got.sizes(), want.sizes());
  EXPECT_THAT(got.isnan(), TensorEq(want.isnan()));
  const auto numbers = [](const at::Tensor& t) { return t.nan_to_num(0.0, 1e30, -1e30); };
  if (pool == Pool::kAverage) {
    EXPECT_THAT(numbers(got), TensorNear(numbers(want), 1e-5));
  } else {
    EXPECT_THAT(numbers(got), TensorEq(numbers(want)));
  }
}

TEST(GpuPool, EqualsLibTorchsOnTheCpu) {
  SKIP_WITHOUT_GPU(gpu);
  const at::NoGradGuard no_grad;
  const std::pair<int64_t, int64_t> sides[] = {{1, 1}, {1, 5}, {5, 1},   {2, 2},   {3, 3},   {4, 7},
                                               {8, 8}, {9, 8}, {17, 17}, {35, 35}, {33, 16}, {71, 71}};
  for (const auto& [height, width] : sides) {
    for (const int64_t channels : {1, 3, 4, 6, 192}) {
      const auto x = (synthetic_features({7, 3 * channels * height, 0.0, 4.0}, width) - 0.5)
                         .view({3, channels, height, width});
      auto broken = x.clone();
      broken.flatten()[x.numel() / 2] = std::nan("");
      broken.flatten()[x.numel() / 3] = -std::numeric_limits<float>::infinity();
      for (const auto pool : {Pool::kAverage, Pool::kMax, Pool::kMaxStride2}) {
        if (pool != Pool::kMaxStride2 || (height >= 3 && width >= 3)) {
          expect_pooled_alike(pool, x);
          expect_pooled_alike(pool, broken.contiguous(kLast));
        }
      }
    }
  }
}

TEST(GpuResample, HasTheBitsOfTheCpu) {
  SKIP_WITHOUT_GPU(gpu);
  const std::pair<int64_t, int64_t> sizes[] = {{32, 32}, {17, 45}, {1, 3}, {299, 299}, {320, 500}};
  for (const auto& [height, width] : sizes) {
    const auto images = at::cat({testing::synthetic_image("resample", 0, height, width),
                                 testing::synthetic_image("resample", 1, height, width)});
    const auto there = images.to(tensor::compute_device());
    for (const auto rule :
         {resample_tf1_bilinear, resample_half_pixel_bilinear, resample_half_pixel_of_bytes}) {
      const auto got = rule(there, 299, 299);
      EXPECT_TRUE(got.is_cuda() && got.is_contiguous(kLast));
      EXPECT_THAT(got.cpu(), TensorEq(rule(images, 299, 299))) << height << " by " << width;
      EXPECT_THAT(rule(there, 40, 7).cpu(), TensorEq(rule(images, 40, 7))) << height << " by " << width;
    }
  }
}

/// A view of other maps, and maps that no vector of four begins in.
TEST(GpuPool, TakesPartsOfMaps) {
  SKIP_WITHOUT_GPU(gpu);
  const at::NoGradGuard no_grad;
  const auto x = synthetic_features({8, 2 * 9 * 7}, 12).view({2, 9, 7, 12}).permute({0, 3, 1, 2});
  const auto there = x.to(tensor::compute_device());
  for (const int64_t first : {0, 1}) {
    const auto part = [&](const at::Tensor& map) { return map.narrow(1, first, 8); };
    EXPECT_THAT(pooled(Pool::kMax, part(there)).cpu(), TensorEq(pooled(Pool::kMax, part(x))));
  }
  const auto flat = synthetic_features({8, 1}, 1 + 2 * 4 * 5 * 5).flatten();
  const auto odd = [](const at::Tensor& numbers) {
    return numbers.narrow(0, 1, 200).view({2, 5, 5, 4}).permute({0, 3, 1, 2});
  };
  EXPECT_THAT(pooled(Pool::kMax, odd(flat.to(tensor::compute_device()))).cpu(),
              TensorEq(pooled(Pool::kMax, odd(flat))));
}

TEST(GpuMoments, AreThoseOfTheCpu) {
  SKIP_WITHOUT_GPU(gpu);
  const auto near = [](const at::Tensor& want) {
    return TensorNear(want, 1e-12 * want.abs().max().item<double>());
  };
  for (const int64_t count : {2, 40, 64, 700, 1300}) {
    const auto features = synthetic_features({9, count, 0.5, 1.0}, 64) + 10;
    const auto there = features.to(tensor::compute_device());
    const auto want = moments_of(features), got = moments_of(there);
    MomentsAccumulator left(64), right(64), late(64);
    left.add(there.narrow(0, 0, count / 2));
    right.add(there.narrow(0, count / 2, count - count / 2));
    left.merge(right);
    late.add(features.narrow(0, 0, 1));  // so it stays on the CPU
    late.add(there.narrow(0, 1, count - 1));
    for (const auto& moments : {got, left.finish(), late.finish()}) {
      EXPECT_TRUE(moments.mean.device().is_cpu() && moments.covariance.device().is_cpu());
      EXPECT_EQ(moments.count, count);
      EXPECT_THAT(moments.mean, near(want.mean)) << count;
      EXPECT_THAT(moments.covariance, near(want.covariance)) << count;
      EXPECT_THAT(moments.covariance, TensorEq(moments.covariance.t()));
      EXPECT_EQ(moments.centred.defined(), want.centred.defined());
    }
    if (want.centred.defined()) {
      EXPECT_TRUE(got.centred.device().is_cpu());
      EXPECT_THAT(got.centred, near(want.centred));
    }
    EXPECT_THAT(late.finish().covariance, TensorEq(want.covariance));
    EXPECT_THAT(moments_of(there).covariance, TensorEq(got.covariance));
  }
}

/// What is extracted on a device, fetched.
struct Extracted {
  NetOutput output;
  Moments moments;
};

Extracted extracted_on(const char* device, bool tf32, const char* set, int64_t count) {
  tensor::configure_runtime(0, device, tf32);
  const auto net = make_inception(testing::synthetic_inception_weights(), {.spatial = true});
  std::vector<at::Tensor> images;
  for (int64_t i = 0; i < count; ++i) {
    images.push_back(testing::synthetic_image(set, i, i % 7 == 0 ? 40 : 32, 32));
  }
  testing::MemorySource source(std::move(images), /*chunk=*/5);
  std::vector<at::Tensor> features, logits, spatial;
  MomentsAccumulator moments(net->info().dim);
  extract(source, *net, [&](const NetOutput& output) {
    EXPECT_EQ(output.features.is_cuda(), tensor::compute_device().is_cuda());
    moments.add(output.features);
    features.push_back(output.features);
    logits.push_back(output.logits);
    spatial.push_back(output.spatial);
  });
  return {{at::cat(features).cpu(), at::cat(logits).cpu(), at::cat(spatial).cpu()}, moments.finish()};
}

double relative_error(const at::Tensor& got, const at::Tensor& want) {
  return ((got - want).norm() / want.norm()).item<double>();
}

TEST(GpuInception, HasTheFeaturesAndTheDistanceOfTheCpu) {
  SKIP_WITHOUT_GPU(gpu);
  constexpr int64_t kImages = 24;
  const auto real = extracted_on("cuda", false, "real", kImages);
  const auto fake = extracted_on("cuda", false, "fake", kImages);
  const auto rounded = extracted_on("cuda", true, "fake", kImages);
  const auto want_real = extracted_on("cpu", false, "real", kImages);
  const auto want_fake = extracted_on("cpu", false, "fake", kImages);
  for (const auto member : {&NetOutput::features, &NetOutput::logits, &NetOutput::spatial}) {
    EXPECT_LT(relative_error(real.output.*member, want_real.output.*member), 2e-5);
    EXPECT_LT(relative_error(fake.output.*member, want_fake.output.*member), 2e-5);
    // With operands of 10 bits.
    EXPECT_LT(relative_error(rounded.output.*member, want_fake.output.*member), 2e-2);
  }
  const double want = frechet_distance(want_real.moments, want_fake.moments).distance;
  EXPECT_NEAR(frechet_distance(real.moments, fake.moments).distance, want, 1e-4 * want);
}

TEST(GpuInception, GivesTheSameBitsEveryTime) {
  SKIP_WITHOUT_GPU(gpu);
  for (const bool tf32 : {false, true}) {
    const auto once = extracted_on("cuda", tf32, "twice", 300),
               again = extracted_on("cuda", tf32, "twice", 300);
    EXPECT_THAT(again.output.features, TensorEq(once.output.features));
    EXPECT_THAT(again.output.logits, TensorEq(once.output.logits));
    EXPECT_THAT(again.output.spatial, TensorEq(once.output.spatial));
    EXPECT_THAT(again.moments.covariance, TensorEq(once.moments.covariance));
  }
}

}  // namespace
}  // namespace ddpm_eval::metrics
