#include "metrics/kernel_distance.h"
#include "tests/support/kernels.h"
#include "tests/support/memory_limit.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include <gmock/gmock.h>

namespace ddpm_eval::metrics {
namespace {

using testing::normal_features;
using testing::polynomial;
using testing::rbf;

at::Tensor column(std::initializer_list<float> values) {
  return torch::tensor(std::vector<float>(values)).unsqueeze(1);
}

/// float64 [n, m], from the definition.
at::Tensor kernel_matrix(const at::Tensor& x, const at::Tensor& y, const Kernel& kernel) {
  const auto x64 = x.to(at::kDouble), y64 = y.to(at::kDouble);
  if (kernel.kind == Kernel::Kind::kRbf) {
    constexpr int64_t kDirect = 2;
    return (at::cdist(x64, y64, 2.0, kDirect).square() / (-2 * kernel.sigma * kernel.sigma)).exp();
  }
  const double gamma = kernel.gamma.value_or(1.0 / static_cast<double>(x.size(1)));
  return (at::mm(x64, y64.t()) * gamma + kernel.coef).pow(kernel.degree);
}

double slow_estimate(const at::Tensor& real, const at::Tensor& fake, const Kernel& kernel) {
  const auto within = [&](const at::Tensor& x) {
    const auto k = kernel_matrix(x, x, kernel);
    const auto n = static_cast<double>(x.size(0));
    return (k.sum() - k.diagonal().sum()).item<double>() / (n * (n - 1));
  };
  return within(real) + within(fake) - 2 * kernel_matrix(real, fake, kernel).mean().item<double>();
}

// k(0, 1) = 1, k(2, 3) = 343, and between the sets 1, 1, 27 and 64.
TEST(KernelEstimate, TwoAgainstTwoByHand) {
  const auto estimate = kernel_estimate(column({0, 1}), column({2, 3}));
  EXPECT_NEAR(estimate.value, 1 + 343 - 2 * 93.0 / 4, 1e-12);
  EXPECT_EQ(estimate.standard_error, std::nullopt);
}

// A linear kernel without a constant: the squared distance of the means, less what each set adds by its own
// spread. {0, 2} and {3}: 0 + 9 - 2 * 3 with the fake pair 3, 3.
TEST(KernelEstimate, LinearKernelByHand) {
  const auto estimate = kernel_estimate(column({0, 2}), column({3, 3, 3}), polynomial(1, 1.0, 0.0));
  EXPECT_NEAR(estimate.value, 0 + 9 - 2 * 3, 1e-12);
}

TEST(KernelEstimate, RbfByHand) {
  const double near = std::exp(-0.5), far = std::exp(-2.0);
  const auto estimate = kernel_estimate(column({0, 2}), column({1, 3}), rbf(1.0));
  // Within: both sets at a distance of 2. Between: 1, 3, 1, 1.
  EXPECT_NEAR(estimate.value, 2 * far - 2 * (3 * near + std::exp(-4.5)) / 4, 1e-14);
}

/// The unbiased estimates of the two parts of the variance from their definition: means over all choices of
/// different indices.
struct SlowVariance {
  at::Tensor xx, yy, xy;

  static double mean(const std::vector<double>& terms) {
    return std::accumulate(terms.begin(), terms.end(), 0.0) / static_cast<double>(terms.size());
  }

  /// Calls `term(i, j, l, o)` for different indices below n.
  template <class Term>
  static double over_four(int64_t n, const Term& term) {
    std::vector<double> terms;
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        for (int64_t l = 0; l < n; ++l) {
          for (int64_t o = 0; o < n; ++o) {
            if (i != j && i != l && i != o && j != l && j != o && l != o) {
              terms.push_back(term(i, j, l, o));
            }
          }
        }
      }
    }
    return mean(terms);
  }

  /// `term(i, j, l; p, q)` for different i, j, l below n and different p, q below m.
  template <class Term>
  static double over_three_and_two(int64_t n, int64_t m, const Term& term) {
    std::vector<double> terms;
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        for (int64_t l = 0; l < n; ++l) {
          for (int64_t p = 0; p < m; ++p) {
            for (int64_t q = 0; q < m; ++q) {
              if (i != j && i != l && j != l && p != q) {
                terms.push_back(term(i, j, l, p, q));
              }
            }
          }
        }
      }
    }
    return mean(terms);
  }

  /// Var[a(X) - b(X)] and V_xx of one side.
  static std::pair<double, double> of_side(const at::Tensor& own, const at::Tensor& between) {
    const auto k = own.accessor<double, 2>(), c = between.accessor<double, 2>();
    const int64_t n = own.size(0), m = between.size(1);
    const double a2 =
        over_four(n, [&](int64_t i, int64_t j, int64_t l, int64_t) { return k[i][j] * k[i][l]; });
    const double aa =
        over_four(n, [&](int64_t i, int64_t j, int64_t l, int64_t o) { return k[i][j] * k[l][o]; });
    const double k2 = over_four(n, [&](int64_t i, int64_t j, int64_t, int64_t) { return k[i][j] * k[i][j]; });
    const auto over = [&](const auto& term) { return over_three_and_two(n, m, term); };
    const double b2 =
        over([&](int64_t i, int64_t, int64_t, int64_t p, int64_t q) { return c[i][p] * c[i][q]; });
    const double bb =
        over([&](int64_t i, int64_t j, int64_t, int64_t p, int64_t q) { return c[i][p] * c[j][q]; });
    const double ab =
        over([&](int64_t i, int64_t j, int64_t, int64_t p, int64_t) { return k[i][j] * c[i][p]; });
    const double a_b =
        over([&](int64_t i, int64_t j, int64_t l, int64_t p, int64_t) { return k[i][j] * c[l][p]; });
    return {a2 - aa - 2 * (ab - a_b) + b2 - bb, k2 - 2 * a2 + aa};
  }

  std::pair<double, double> parts() const {
    const auto n = static_cast<double>(xx.size(0)), m = static_cast<double>(yy.size(0));
    const auto [x_image, x_pair] = of_side(xx, xy);
    const auto [y_image, y_pair] = of_side(yy, xy.t().contiguous());
    const auto c = xy.accessor<double, 2>();
    const auto over = [&](const auto& term) { return over_three_and_two(xx.size(0), yy.size(0), term); };
    const double cross_pair = over([&](int64_t i, int64_t j, int64_t, int64_t p, int64_t q) {
      return c[i][p] * c[i][p] - c[i][p] * c[i][q] - c[i][p] * c[j][p] + c[i][p] * c[j][q];
    });
    return {4 * x_image / n + 4 * y_image / m,
            2 * x_pair / (n * (n - 1)) + 2 * y_pair / (m * (m - 1)) + 4 * cross_pair / (n * m)};
  }
};

TEST(KernelEstimate, VarianceIsTheMeanOverDifferentIndices) {
  const auto real = normal_features(1, 7, 3);
  const auto fake = normal_features(2, 5, 3) * 1.2F + 0.4F;
  for (const auto& kernel : {Kernel{}, rbf(1.5), polynomial(2, 0.3, 0.5)}) {
    const SlowVariance slow{kernel_matrix(real, real, kernel), kernel_matrix(fake, fake, kernel),
                            kernel_matrix(real, fake, kernel)};
    const auto [images, pairs] = slow.parts();
    const auto estimate = kernel_estimate(real, fake, kernel);
    const double scale = std::abs(images) + std::abs(pairs);
    EXPECT_NEAR(estimate.value, slow_estimate(real, fake, kernel), 1e-13);
    EXPECT_NEAR(estimate.variance_of_images, images, 1e-11 * scale);
    EXPECT_NEAR(estimate.variance_of_pairs, pairs, 1e-11 * scale);
    EXPECT_NEAR(*estimate.standard_error, std::sqrt(std::max(images, 0.0) + std::max(pairs, 0.0)),
                1e-11 * std::sqrt(scale));
  }
}

/// The deviation of the estimate over many pairs of sets, and what the estimates of it say.
struct Spread {
  double mean = 0.0;
  double variance = 0.0;        ///< seen
  double of_images = 0.0;       ///< mean of the estimated part
  double of_pairs = 0.0;        ///< the same
  double standard_error = 0.0;  ///< root mean square
  int64_t draws = 0;

  double ratio() const { return std::sqrt((of_images + of_pairs) / variance); }
};

Spread spread_of(int64_t draws, const Kernel& kernel, int64_t n, int64_t m, double scale, double shift) {
  Spread spread;
  spread.draws = draws;
  const auto count = static_cast<double>(draws);
  // Bounded features: the deviation of cubes of normal numbers would take far more draws to be seen.
  const auto all_real = normal_features(11, draws * n, 3).tanh();
  const auto all_fake = normal_features(12, draws * m, 3).tanh() * scale + shift;
  double squares = 0.0, errors = 0.0;
  for (int64_t draw = 0; draw < draws; ++draw) {
    const auto estimate =
        kernel_estimate(all_real.narrow(0, draw * n, n), all_fake.narrow(0, draw * m, m), kernel);
    spread.mean += estimate.value / count;
    squares += estimate.value * estimate.value / count;
    spread.of_images += estimate.variance_of_images / count;
    spread.of_pairs += estimate.variance_of_pairs / count;
    errors += *estimate.standard_error * *estimate.standard_error / count;
  }
  spread.variance = (squares - spread.mean * spread.mean) * count / (count - 1);
  spread.standard_error = std::sqrt(errors);
  return spread;
}

TEST(KernelEstimate, StandardErrorIsTheDeviationSeen) {
  for (const auto& kernel : {Kernel{}, rbf(1.0)}) {
    const auto spread = spread_of(600, kernel, 24, 16, 1.2, 0.4);
    EXPECT_GT(spread.mean, 10 * std::sqrt(spread.variance / static_cast<double>(spread.draws)));
    EXPECT_NEAR(spread.ratio(), 1.0, 0.1);
    EXPECT_NEAR(spread.standard_error / std::sqrt(spread.variance), 1.0, 0.1);
    EXPECT_GT(spread.of_images, spread.of_pairs);
  }
}

// What images add on their own vanishes, and only pairs are left.
TEST(KernelEstimate, EqualDistributionsAverageToZeroWithTheDeviationOfPairs) {
  for (const auto& kernel : {Kernel{}, rbf(1.0)}) {
    const auto spread = spread_of(800, kernel, 20, 32, 1.0, 0.0);
    const double deviation = std::sqrt(spread.variance);
    EXPECT_LT(std::abs(spread.mean), 3 * deviation / std::sqrt(static_cast<double>(spread.draws)));
    EXPECT_NEAR(spread.ratio(), 1.0, 0.1);
    EXPECT_NEAR(std::sqrt(spread.of_pairs) / deviation, 1.0, 0.1);
    EXPECT_LT(std::abs(spread.of_images), 0.2 * spread.of_pairs);
    // A negative part counts as nothing, so single errors are rather too large than too small.
    EXPECT_GT(spread.standard_error, 0.95 * deviation);
    EXPECT_LT(spread.standard_error, 1.5 * deviation);
  }
}

// Several blocks, in float64 (few features) and float32 (many), and far from the origin, where the products
// of the features themselves would lose digits.
TEST(KernelEstimate, BlocksCoverEveryPair) {
  struct Case {
    int64_t n, m, dim;
    double offset;
    Kernel kernel;
    double tolerance;
  };
  for (const auto& [n, m, dim, offset, kernel, tolerance] :
       {Case{2100, 250, 3, 0.0, {}, 1e-12}, Case{2100, 2050, 80, 0.3, {}, 2e-8},
        Case{300, 2100, 80, 30.0, {}, 2e-8}, Case{250, 2100, 3, 0.0, rbf(0.2), 1e-13},
        Case{500, 400, 80, 30.0, rbf(6.0), 1e-9}}) {
    const auto real = normal_features(21, n, dim) + offset;
    const auto fake = normal_features(22, m, dim) * 1.1 + offset;
    const double typical = kernel_matrix(real.narrow(0, 0, 1), real.narrow(0, 1, 1), kernel).item<double>();
    const auto estimate = kernel_estimate(real, fake, kernel);
    EXPECT_NEAR(estimate.value, slow_estimate(real, fake, kernel), tolerance * std::max(typical, 1.0))
        << n << " x " << m << " x " << dim << " at " << offset;
  }
}

// Points much nearer to each other than to their mean.
TEST(KernelEstimate, NarrowRbfInThePlane) {
  const auto corner = torch::tensor({100.0F, -50.0F});
  const auto real =
      at::cat({normal_features(31, 200, 2) * 0.01F + corner, normal_features(32, 200, 2) * 0.01F - corner});
  const auto fake =
      at::cat({normal_features(33, 150, 2) * 0.01F + corner, normal_features(34, 250, 2) * 0.012F - corner});
  EXPECT_NEAR(kernel_estimate(real, fake, rbf(0.01)).value, slow_estimate(real, fake, rbf(0.01)), 1e-10);
}

TEST(KernelEstimate, IsSymmetric) {
  const auto real = normal_features(3, 200, 80);
  const auto fake = normal_features(4, 150, 80) + 0.1F;
  const auto forward = kernel_estimate(real, fake), backward = kernel_estimate(fake, real);
  EXPECT_NEAR(forward.value, backward.value, 1e-9);
  EXPECT_NEAR(*forward.standard_error, *backward.standard_error, 1e-8);
  EXPECT_EQ(forward.value, kernel_estimate(real, fake).value) << "the same bits";
}

// All kernels of 20,000 images would be 3.2 GB in float64.
TEST(SlowKernelEstimate, MemoryIsBounded) {
  const auto many = normal_features(41, 20'000, 32), others = normal_features(42, 20'000, 32);
  const auto longs = normal_features(43, 4500, 2048), other_longs = normal_features(44, 4500, 2048);
  kernel_estimate(many.narrow(0, 0, 3000), others.narrow(0, 0, 3000));  // threads with their own memory
  const testing::MemoryLimit limit(250 << 20);
  EXPECT_LT(kernel_estimate(many, others).value, 0.1);
  EXPECT_LT(kernel_estimate(longs, other_longs).value, 0.1);
}

}  // namespace
}  // namespace ddpm_eval::metrics
