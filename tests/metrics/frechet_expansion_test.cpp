#include "metrics/frechet_expansion.h"

#include "metrics/frechet.h"
#include "tests/support/normal_sets.h"

#include <cmath>

#include <gmock/gmock.h>

namespace ddpm_eval::metrics {
namespace {

using testing::shifted_normal;
using testing::standard_normal;

FrechetExpansion expand(const at::Tensor& real, const at::Tensor& fake) {
  return expand_frechet(moments_of(real), moments_of(fake), real, fake, 1);
}

/// The distance of one feature is (difference of means)^2 + (difference of spreads)^2, and all derivatives
/// are school mathematics. One side of it, `c` the centred values, `s` its spread and `t` the other's.
struct OneFeature {
  at::Tensor c;
  double s, t, shift;

  OneFeature(const at::Tensor& mine, const at::Tensor& others)
      : c(mine.to(at::kDouble).flatten()),
        s(c.std().item<double>()),
        t(others.to(at::kDouble).std().item<double>()),
        shift((c.mean() - others.to(at::kDouble).mean()).item<double>()) {
    c = c - c.mean();
  }
  double count() const { return static_cast<double>(c.numel()); }
  double slope_variance() const {
    return (2 * shift * c + (1 - t / s) * c.square()).var().item<double>() / count();
  }
  at::Tensor square() const { return c.square() - s * s; }
  double curvature() const { return t / (2 * s * s * s); }
  double bias() const {
    return (s * s + 0.5 * curvature() * ((c.pow(4).mean().item<double>()) - s * s * s * s)) / count();
  }
  /// E k^2 / (2 N^2) over all pairs of different images.
  double quadratic() const {
    const auto k = 2 * t / s * at::outer(c, c) + curvature() * at::outer(square(), square());
    const double all = k.square().sum().item<double>() - k.diagonal().square().sum().item<double>();
    return all / (count() * (count() - 1)) / (2 * count() * count());
  }
};

TEST(FrechetExpansion, OneFeatureByHand) {
  const auto real = standard_normal(1).draw(1, 0, 61);
  const auto fake = shifted_normal(1, 0.7, 1.0).draw(2, 0, 41) * 1.4F;
  const OneFeature of_fake(fake, real);
  const OneFeature of_real(real, fake);

  const auto conditional = expand_frechet(moments_of(real), moments_of(fake), {}, fake, 1);
  EXPECT_NEAR(conditional.bias, of_fake.bias(), 1e-10);
  EXPECT_NEAR(conditional.quadratic, of_fake.quadratic(), 1e-10);
  EXPECT_NEAR(conditional.variance, of_fake.slope_variance() - of_fake.quadratic(), 1e-10);

  const auto both = expand(real, fake);
  EXPECT_NEAR(both.bias, of_fake.bias() + of_real.bias(), 1e-10);
  const auto cross = -2 * at::outer(of_fake.c, of_real.c) -
                     at::outer(of_fake.square(), of_real.square()) / (2 * of_fake.s * of_real.s);
  const double quadratic = of_fake.quadratic() + of_real.quadratic() +
                           cross.square().mean().item<double>() / (of_fake.count() * of_real.count());
  EXPECT_NEAR(both.quadratic, quadratic, 1e-10);
  EXPECT_NEAR(both.variance, of_fake.slope_variance() + of_real.slope_variance() - quadratic, 1e-10);
}

// Many normal features with their population's moments: all expectations are closed forms.
TEST(FrechetExpansion, NormalFeaturesInClosedForm) {
  const int64_t dim = 6, count = 40'000;
  const auto real = shifted_normal(dim, 0.0, 0.4);
  const auto fake = shifted_normal(dim, 0.8, 1.6);
  const auto features = fake.draw(3, 0, count);
  const auto found = expand_frechet(exact_moments(real), moments_of(features), {}, features, 1);

  const auto s = fake.spread, t = real.spread, delta = fake.mean - real.mean;
  const double slopes =
      (4 * delta.square() * s.square() + 2 * s.square() * (s - t).square()).sum().item<double>();
  EXPECT_NEAR(found.variance * count, slopes, 0.03 * slopes);
  // lambda = (s t)^2, and E (z_i z_j - lambda_i [i = j])^2 = lambda_i lambda_j (1 + [i = j]).
  const auto root = s * t;
  const auto pairs = at::outer(root, root) / (root.unsqueeze(1) + root);
  const double curvature = pairs.sum().item<double>() + pairs.diagonal().sum().item<double>();
  const double bias = s.square().sum().item<double>() + 0.5 * curvature;
  EXPECT_NEAR(found.bias * count, bias, 0.03 * bias);
}

// A rotation of all features changes nothing, and makes every matrix in between a full one.
TEST(FrechetExpansion, DoesNotDependOnTheAxes) {
  const auto real = shifted_normal(5, 0.3, 0.5).draw(4, 0, 200);
  const auto fake = shifted_normal(5, 0.0, 1.5).draw(5, 0, 150);
  const auto axes = std::get<0>(at::linalg_qr(standard_normal(5).draw(6, 0, 5)));
  const auto straight = expand(real, fake);
  const auto turned = expand(at::mm(real, axes), at::mm(fake, axes));
  EXPECT_NEAR(turned.variance, straight.variance, 1e-4 * straight.variance);
  EXPECT_NEAR(turned.quadratic, straight.quadratic, 1e-4 * straight.quadratic);
  EXPECT_NEAR(turned.bias, straight.bias, 1e-4 * straight.bias);
}

TEST(FrechetExpansion, IsSymmetric) {
  const auto one = shifted_normal(5, 0.3, 0.5).draw(7, 0, 200);
  const auto other = shifted_normal(5, 0.0, 1.5).draw(8, 0, 150);
  const auto forward = expand(one, other), backward = expand(other, one);
  EXPECT_NEAR(forward.bias, backward.bias, 1e-9);
  // The pairs drawn differ.
  EXPECT_NEAR(forward.variance, backward.variance, 0.1 * forward.variance);
}

// Features that are constant, or the sum of others, on both sides: all that they add is known.
TEST(FrechetExpansion, SingularCovariancesHaveOneToo) {
  const auto real = shifted_normal(5, 0.3, 0.5).draw(9, 0, 300);
  const auto fake = shifted_normal(5, 0.0, 1.5).draw(10, 0, 250);
  const auto with_constant = [](const at::Tensor& rows) {
    return at::cat({rows, torch::full({rows.size(0), 1}, 0.5F)}, 1);
  };
  const auto plain = expand(real, fake);
  const auto padded = expand(with_constant(real), with_constant(fake));
  EXPECT_NEAR(padded.variance, plain.variance, 1e-7 * plain.variance);
  EXPECT_NEAR(padded.bias, plain.bias, 1e-7 * plain.bias);

  // One feature twice is one feature of sqrt(2) times the size.
  const auto twice = [](const at::Tensor& rows) { return at::cat({rows, rows.narrow(1, 0, 1)}, 1); };
  const auto longer = [](const at::Tensor& rows) {
    return at::cat({rows.narrow(1, 0, 1) * std::sqrt(2.0F), rows.narrow(1, 1, 4)}, 1);
  };
  const auto doubled = expand(twice(real), twice(fake)), scaled = expand(longer(real), longer(fake));
  EXPECT_NEAR(doubled.variance, scaled.variance, 1e-4 * scaled.variance);
  EXPECT_NEAR(doubled.bias, scaled.bias, 1e-4 * scaled.bias);
}

TEST(FrechetExpansion, TellsOfItsProgress) {
  const auto real = standard_normal(3).draw(11, 0, 1500);
  const auto fake = standard_normal(3).draw(12, 0, 700);
  std::vector<int64_t> seen;
  expand_frechet(moments_of(real), moments_of(fake), real, fake, 1, [&](int64_t done, int64_t total) {
    EXPECT_EQ(total, 2200);
    seen.push_back(done);
  });
  EXPECT_THAT(seen, ::testing::ElementsAre(700, 1724, 2200));
}

}  // namespace
}  // namespace ddpm_eval::metrics
