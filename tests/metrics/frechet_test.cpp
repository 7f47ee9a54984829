#include "metrics/frechet.h"

#include "base/core/error.h"
#include "tests/support/errors.h"
#include "tests/support/synthetic_features.h"
#include "tests/support/temp_dir.h"

#include <cmath>
#include <fstream>
#include <limits>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::metrics {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::message_of;
using testing::synthetic_features;
using testing::SyntheticSpec;

/// As read from a statistics file: no count, no rows.
Moments as_statistics(Moments moments) { return {moments.mean, moments.covariance, 0, {}}; }

Moments normal_moments(uint64_t seed, int64_t count, int64_t dim, double offset = 0.5, double scale = 1.0) {
  return moments_of(synthetic_features({seed, count, offset, scale}, dim));
}

nlohmann::json golden() {
  std::ifstream file(testing::source_dir() / "tests/golden/frechet.json");
  return nlohmann::json::parse(file);
}

// pytorch-fid's own test.
TEST(Frechet, EqualCovariancesLeaveTheMeans) {
  auto real = normal_moments(1, 300, 40);
  auto fake = real;
  fake.mean = real.mean + torch::linspace(-1.0, 2.0, 40, at::kDouble);
  const double want = torch::linspace(-1.0, 2.0, 40, at::kDouble).pow(2).sum().item<double>();
  const auto parts = frechet_distance(real, fake);
  EXPECT_NEAR(parts.distance, want, 1e-9);
  EXPECT_NEAR(parts.mean_term, want, 1e-12);
  EXPECT_EQ(parts.route, "cholesky");
  EXPECT_THAT(parts.notes, IsEmpty());
}

TEST(Frechet, DiagonalCovariances) {
  const auto a = torch::linspace(0.1, 5.0, 30, at::kDouble);
  const auto b = torch::linspace(3.0, 0.2, 30, at::kDouble);
  const auto mean = torch::zeros({30}, at::kDouble);
  const Moments real{mean, torch::diag(a), 0, {}};
  const Moments fake{mean + 0.5, torch::diag(b), 0, {}};
  const double want = 30 * 0.25 + (a.sqrt() - b.sqrt()).pow(2).sum().item<double>();
  EXPECT_NEAR(frechet_distance(real, fake).distance, want, 1e-9);
  EXPECT_NEAR(frechet_distance(real, fake, SqrtMethod::kGeneral).distance, want, 1e-9);
}

TEST(Frechet, OneDimension) {
  const auto one = [](double mean, double variance) {
    return Moments{torch::full({1}, mean, at::kDouble), torch::full({1, 1}, variance, at::kDouble), 0, {}};
  };
  EXPECT_NEAR(frechet_distance(one(1.0, 4.0), one(3.0, 9.0)).distance, 4.0 + 1.0, 1e-12);
  EXPECT_NEAR(frechet_distance(one(1.0, 0.0), one(3.0, 9.0)).distance, 4.0 + 9.0, 1e-12);
}

TEST(Frechet, IsSymmetric) {
  for (const int64_t count : {30, 300}) {
    const auto real = normal_moments(2, 200, 64);
    const auto fake = normal_moments(3, count, 64, 0.6, 1.3);
    const auto forward = frechet_distance(real, fake);
    EXPECT_NEAR(forward.distance, frechet_distance(fake, real).distance, 1e-9 * forward.trace_real);
    EXPECT_GT(forward.distance, 0.1);
  }
}

TEST(Frechet, ASetAgainstItselfIsZero) {
  for (const int64_t count : {20, 64, 65, 400}) {
    const auto moments = normal_moments(4, count, 64);
    const auto parts = frechet_distance(moments, moments);
    EXPECT_NEAR(parts.distance, 0.0, 1e-10 * parts.trace_real) << count << " by " << parts.route;
  }
}

// The same rank-deficient statistics with the rows at hand and without: cross, gram, cholesky and eigen
// agree.
TEST(Frechet, RoutesAgreeBelowTheDimension) {
  const auto real = normal_moments(5, 40, 64);
  const auto fake = normal_moments(6, 30, 64, 0.6, 1.2);
  const auto cross = frechet_distance(real, fake);
  const auto gram = frechet_distance(real, as_statistics(fake));
  const auto eigen = frechet_distance(as_statistics(real), as_statistics(fake));
  EXPECT_EQ(cross.route, "cross");
  EXPECT_EQ(gram.route, "gram");
  EXPECT_EQ(eigen.route, "eigen");
  EXPECT_NEAR(gram.distance, cross.distance, 1e-7 * cross.distance);
  EXPECT_NEAR(eigen.distance, cross.distance, 1e-7 * cross.distance);
  EXPECT_THAT(cross.notes, Contains(HasSubstr("real: 40 images for 64 features")));
  EXPECT_THAT(cross.notes, Contains(HasSubstr("fake: 30 images for 64 features")));
  EXPECT_THAT(eigen.notes, Contains(HasSubstr("fake: the covariance is rank deficient")));
}

TEST(Frechet, GeneralAgreesAtFullRank) {
  const auto real = normal_moments(7, 500, 64);
  const auto fake = normal_moments(8, 400, 64, 0.6, 1.2);
  const auto general = frechet_distance(real, fake, SqrtMethod::kGeneral);
  EXPECT_EQ(general.route, "general");
  EXPECT_NEAR(general.distance, frechet_distance(real, fake).distance, 1e-9);
}

// To the larger of 1e-4 relative and what the two peers differ by.
void expect_agreement(const nlohmann::json& entry) {
  const auto features = [&](const char* side) {
    const auto& spec = entry[side];
    return synthetic_features({spec["seed"], spec["count"], spec["offset"], spec["scale"]}, entry["dim"]);
  };
  const auto real = moments_of(features("real"));
  const auto fake = moments_of(features("fake"));
  const double one = entry["pytorch_fid"];
  const double two = entry["torch_fidelity"];
  const double tolerance = std::max(1e-4 * std::abs(two), std::abs(one - two));
  for (const bool rows : {true, false}) {
    const auto parts =
        rows ? frechet_distance(real, fake) : frechet_distance(as_statistics(real), as_statistics(fake));
    EXPECT_NEAR(parts.distance, one, tolerance) << entry["name"] << " by " << parts.route;
    EXPECT_NEAR(parts.distance, two, tolerance) << entry["name"] << " by " << parts.route;
  }
}

TEST(Frechet, AgreesWithPytorchFidAndTorchFidelity) {
  const auto values = golden();
  const auto check = synthetic_features({11, 500, 0.5, 1.0}, 64);
  EXPECT_EQ(check[0][0].item<float>(), values["check"]["first"].get<float>());
  EXPECT_EQ(check[-1][-1].item<float>(), values["check"]["last"].get<float>());
  EXPECT_NEAR(check.sum(at::kDouble).item<double>(), values["check"]["sum"].get<double>(), 1e-9);
  for (const auto& entry : values["frechet"]) {
    if (entry["dim"] < 1000) {
      expect_agreement(entry);
    }
  }
}

TEST(SlowFrechet, AgreesWithPytorchFidAndTorchFidelityAt2048Features) {
  const auto values = golden();
  for (const auto& entry : values["frechet"]) {
    if (entry["dim"] >= 1000) {
      expect_agreement(entry);
    }
  }
}

// Four points in four dimensions, for which a version of torch-fidelity gave NaN: an eigenvalue just below
// zero.
TEST(Frechet, TorchFidelitysRegressionCase) {
  const auto entry = golden()["regression"];
  const auto statistics = [&](const char* side) {
    const auto rows = torch::tensor(entry[side].get<std::vector<double>>(), at::kDouble).view({4, 4});
    const auto centred = rows - rows.mean(0);
    return Moments{rows.mean(0), at::mm(centred.t(), centred) / 3, 0, {}};
  };
  const double want = entry["torch_fidelity"];
  EXPECT_NEAR(frechet_distance(statistics("real"), statistics("fake")).distance, want, 1e-6 * want);
}

TEST(Frechet, RefusesStatisticsThatAreNone) {
  const auto good = normal_moments(9, 100, 8);
  const auto message = [&](const Moments& bad) {
    return message_of<core::DataError>([&] { frechet_distance(good, bad); });
  };
  EXPECT_THAT(message(normal_moments(9, 100, 9)), HasSubstr("real side has 8 features and the fake side 9"));

  auto bad = good;
  bad.mean = good.mean.clone();
  bad.mean[3] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(message(bad), HasSubstr("fake statistics: the mean or the covariance holds NaN"));

  bad = good;
  bad.covariance = good.covariance.clone();
  bad.covariance[2][5] = std::numeric_limits<double>::infinity();
  EXPECT_THAT(message(bad), HasSubstr("infinity"));
  bad.covariance = good.covariance.clone();
  bad.covariance[2][5] += 0.1;
  EXPECT_THAT(message(bad), HasSubstr("fake statistics: the covariance is not symmetric"));
  bad.covariance = good.covariance.clone();
  bad.covariance[2][2] = -1.0;
  EXPECT_THAT(message(bad), HasSubstr("a variance is negative (-1)"));
  bad.covariance = good.covariance.narrow(0, 0, 7);
  EXPECT_THAT(message(bad), HasSubstr("the mean has 8 features and the covariance is [7, 8]"));
}

TEST(Frechet, AnIndefiniteCovarianceIsRefused) {
  const auto identity = torch::eye(2, torch::kFloat64);
  const auto indefinite =
      torch::tensor({1.0, 2.0, 2.0, 1.0}, torch::kFloat64).view({2, 2});  // eigenvalues -1 and 3
  const auto zero = torch::zeros({2}, torch::kFloat64);
  EXPECT_THROW(frechet_distance({zero, indefinite, 0, {}}, {zero, identity, 0, {}}), core::DataError);
  EXPECT_THROW(frechet_distance({zero, identity, 0, {}}, {zero, indefinite, 0, {}}), core::DataError);
  const auto rank_one = torch::ones({2, 2}, torch::kFloat64);
  EXPECT_THROW(frechet_distance({zero, indefinite, 0, {}}, {zero, rank_one, 0, {}}), core::DataError);
  EXPECT_THROW(frechet_distance({zero, rank_one, 0, {}}, {zero, indefinite, 0, {}}), core::DataError);
  const auto rows = torch::tensor({1.0, 1.0}, torch::kFloat64).view({1, 2});  // sees the eigenvalue 3 alone
  EXPECT_THROW(frechet_distance({zero, rank_one, 2, rows}, {zero, indefinite, 0, {}}), core::DataError);
}

TEST(Frechet, ADistanceBeyondFloat64IsRefused) {
  const auto identity = torch::eye(2, torch::kFloat64);
  const auto zero = torch::zeros({2}, torch::kFloat64);
  EXPECT_THROW(frechet_distance({zero, identity, 0, {}}, {zero + 1e300, identity, 0, {}}), core::DataError);
}

}  // namespace
}  // namespace ddpm_eval::metrics
