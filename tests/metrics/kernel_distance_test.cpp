#include "metrics/kernel_distance.h"

#include "base/core/error.h"
#include "base/core/numpy_random.h"
#include "tests/support/errors.h"
#include "tests/support/kernels.h"
#include "tests/support/synthetic_features.h"
#include "tests/support/temp_dir.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <utility>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::metrics {
namespace {

using ::testing::HasSubstr;
using testing::message_of;
using testing::normal_features;
using testing::polynomial;
using testing::rbf;
using testing::synthetic_features;

nlohmann::json golden() {
  std::ifstream file(testing::source_dir() / "tests/golden/pairs.json");
  return nlohmann::json::parse(file);
}

at::Tensor golden_features(const nlohmann::json& entry, const char* side) {
  const auto& spec = entry[side];
  return synthetic_features({spec["seed"], spec["count"], spec["offset"], spec["scale"]}, entry["dim"]);
}

Kernel golden_kernel(const nlohmann::json& words) {
  if (words["kid_kernel"] == "rbf") {
    return rbf(words["kid_kernel_rbf_sigma"]);
  }
  const auto gamma = words["kid_kernel_poly_gamma"];
  return polynomial(words["kid_kernel_poly_degree"],
                    gamma.is_null() ? std::nullopt : std::optional(gamma.get<double>()),
                    words["kid_kernel_poly_coef0"]);
}

TEST(KernelDistance, AgreesWithTorchFidelity) {
  const auto values = golden();
  ASSERT_EQ(values["kid"].size(), 5U);
  for (const auto& entry : values["kid"]) {
    KernelDistanceRule rule;
    rule.subsets = entry["subsets"];
    rule.subset_size = entry["size"];
    rule.kernel = golden_kernel(entry["kernel"]);
    rule.all_pairs = false;
    const auto real = golden_features(entry, "real"), fake = golden_features(entry, "fake");
    const double mean = entry["torch_fidelity"]["mean"], std = entry["torch_fidelity"]["std"];
    // torch-fidelity's own rounding is 2e-7; that of its products, which NumPy's BLAS adds up in another
    // order, 3e-8.
    for (const auto& [arithmetic, rounding] :
         {std::pair(KernelArithmetic::kFloat32, 3e-8), std::pair(KernelArithmetic::kFloat64, 3e-7)}) {
      rule.arithmetic = arithmetic;
      const auto score = kernel_distance(real, fake, rule);
      EXPECT_NEAR(score.mean, mean, rounding) << entry["name"];
      EXPECT_NEAR(score.std, std, rounding) << entry["name"];
      EXPECT_EQ(score.all_pairs, std::nullopt);
    }
  }
}

// Of all images once, which is the estimate from all pairs.
TEST(KernelDistance, AgreesWithCleanFid) {
  const auto values = golden();
  for (const auto& entry : values["kid"]) {
    if (!entry.contains("clean_fid")) {
      continue;
    }
    auto real = golden_features(entry, "real"), fake = golden_features(entry, "fake");
    const int64_t count = std::min(real.size(0), fake.size(0));
    real = real.narrow(0, 0, count);
    fake = fake.narrow(0, 0, count);
    KernelDistanceRule rule;
    rule.subsets = 1;
    rule.shrink = true;
    rule.seed = std::nullopt;
    rule.arithmetic = KernelArithmetic::kFloat64;
    const auto score = kernel_distance(real, fake, rule);
    const double want = entry["clean_fid"];
    EXPECT_EQ(score.subset_size, count);
    EXPECT_NEAR(score.mean, want, 1e-12) << entry["name"];
    EXPECT_EQ(score.std, 0.0);
    EXPECT_NEAR(score.all_pairs->value, want, 1e-9) << entry["name"];
  }
}

// With all real features 0 and a linear kernel the value is the mean product of different fake images of the
// subset, which tells what was drawn: from 256 images, 64 that add up to 7485, and next 64 that do not.
TEST(KernelDistance, DrawsTheFakeImagesFirst) {
  const auto count = torch::arange(256, at::kFloat).unsqueeze(1);
  const auto zero = torch::zeros({256, 1});
  core::NumpyRandom random(2020);
  const auto product = [](const std::vector<int64_t>& drawn) {
    double sum = 0.0, squares = 0.0;
    for (const int64_t one : drawn) {
      sum += static_cast<double>(one);
      squares += static_cast<double>(one * one);
    }
    return std::pair(sum, (sum * sum - squares) / (64.0 * 63.0));
  };
  const auto [first_sum, first] = product(random.choice(256, 64));
  const auto [second_sum, second] = product(random.choice(256, 64));
  const auto [third_sum, third] = product(random.choice(256, 64));
  EXPECT_EQ(first_sum, 7485);
  EXPECT_EQ(second_sum, 8890);
  KernelDistanceRule rule;
  rule.subset_size = 64;
  rule.kernel = polynomial(1, 1.0, 0.0);
  rule.arithmetic = KernelArithmetic::kFloat64;
  rule.all_pairs = false;
  rule.subsets = 1;
  EXPECT_DOUBLE_EQ(kernel_distance(zero, count, rule).mean, first);
  EXPECT_DOUBLE_EQ(kernel_distance(count, zero, rule).mean, second);
  rule.subsets = 2;
  const auto both = kernel_distance(zero, count, rule);
  EXPECT_DOUBLE_EQ(both.mean, (first + third) / 2);
  EXPECT_DOUBLE_EQ(both.std, std::abs(first - third) / 2);
}

TEST(KernelDistance, SubsetsAgreeWithAllPairs) {
  const auto real = normal_features(5, 600, 16);
  const auto fake = normal_features(6, 500, 16) * 1.2F + 0.2F;
  KernelDistanceRule rule;
  rule.subset_size = 200;
  const auto score = kernel_distance(real, fake, rule);
  EXPECT_EQ(score.subsets, 100);
  EXPECT_EQ(score.subset_size, 200);
  EXPECT_NEAR(score.mean, score.all_pairs->value, 4 * score.std / 10);
  EXPECT_EQ(score.all_pairs->value, kernel_estimate(real, fake).value);
  EXPECT_GT(score.std, *score.all_pairs->standard_error);
}

TEST(KernelDistance, TellsItsProgressAndCanBeStopped) {
  struct Stop {};
  const auto real = normal_features(7, 2300, 2);
  const auto fake = normal_features(8, 2100, 2);
  KernelDistanceRule rule;
  rule.subsets = 3;
  rule.subset_size = 50;
  std::vector<int64_t> told;
  int64_t last_total = 0;
  kernel_distance(real, fake, rule, [&](int64_t done, int64_t total) {
    told.push_back(done);
    last_total = total;
  });
  EXPECT_EQ(told.back(), last_total);
  EXPECT_GT(told.size(), 8U);
  EXPECT_TRUE(std::is_sorted(told.begin(), told.end()));
  const auto stop = [](int64_t, int64_t) { throw Stop(); };
  EXPECT_THROW(kernel_distance(real, fake, rule, stop), Stop);
  EXPECT_THROW(kernel_estimate(real, fake, {}, stop), Stop);
}

TEST(KernelDistance, RefusesWhatHasNoDistance) {
  const auto some = torch::ones({40, 4});
  const auto data_error = [](const at::Tensor& real, const at::Tensor& fake, const KernelDistanceRule& rule) {
    return message_of<core::DataError>([&] { kernel_distance(real, fake, rule); });
  };
  EXPECT_THAT(
      data_error(some, torch::ones({2000, 4}), {}),
      HasSubstr("KID by subsets of 1000 images cannot be drawn from 40 real and 2000 fake ones: score "
                "more images or take subsets of at most 40"));
  KernelDistanceRule shrinking;
  shrinking.shrink = true;
  EXPECT_EQ(kernel_distance(some, torch::ones({2000, 4}), shrinking).subset_size, 40);
  EXPECT_THAT(data_error(some, torch::ones({1, 4}), shrinking),
              HasSubstr("KID needs at least 2 images on each side, and there are 40 real and 1 fake ones"));
  EXPECT_THAT(data_error(some, torch::ones({40, 5}), shrinking),
              HasSubstr("the real side has 4 features and the fake side 5"));
  EXPECT_THAT(data_error(torch::ones({40, 0}), torch::ones({40, 0}), shrinking), HasSubstr("no features"));
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    auto damaged = some.clone();
    damaged[39][3] = bad;
    EXPECT_THAT(data_error(some, damaged, shrinking), HasSubstr("the fake features hold NaN or infinity"));
    EXPECT_THAT(data_error(damaged, some, shrinking), HasSubstr("the real features"));
  }
  EXPECT_THAT(data_error(some * 1e15F, some, shrinking), HasSubstr("too large"));

  const auto usage_error = [&](const KernelDistanceRule& rule) {
    return message_of<core::UsageError>([&] { kernel_distance(some, some, rule); });
  };
  KernelDistanceRule rule;
  rule.subsets = 0;
  EXPECT_THAT(usage_error(rule), HasSubstr("at least 1 subset of at least 2 images, not 0 of 1000"));
  rule = {};
  rule.subset_size = 1;
  EXPECT_THAT(usage_error(rule), HasSubstr("not 100 of 1"));
  rule = {};
  rule.kernel = polynomial(0, std::nullopt, 1.0);
  EXPECT_THAT(usage_error(rule), HasSubstr("must be 1 to 16, not 0"));
  rule.kernel = polynomial(3, std::numeric_limits<double>::infinity(), 1.0);
  EXPECT_THAT(usage_error(rule), HasSubstr("must be finite"));
  rule.kernel = rbf(0.0);
  EXPECT_THAT(usage_error(rule), HasSubstr("sigma of an RBF kernel must be above 0"));
}

}  // namespace
}  // namespace ddpm_eval::metrics
