#include "metrics/neighbours.h"

#include "base/core/error.h"
#include "base/tensor/noise.h"
#include "tests/support/errors.h"
#include "tests/support/memory_limit.h"
#include "tests/support/slow_neighbours.h"
#include "tests/support/synthetic_features.h"
#include "tests/support/temp_dir.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>

#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::metrics {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::message_of;
using testing::slow_neighbours;
using testing::synthetic_features;

constexpr auto kHalf = DistanceArithmetic::kHalf;

at::Tensor normal_features(uint64_t seed, int64_t count, int64_t dim) {
  return tensor::normal_rows({seed, "neighbours-test"}, tensor::index_range(0, count), 0, {dim});
}

at::Tensor column(std::initializer_list<float> values) {
  return torch::tensor(std::vector<float>(values)).unsqueeze(1);
}

NeighbourRule rule(int64_t k, bool inclusive = true,
                   DistanceArithmetic arithmetic = DistanceArithmetic::kFloat64, int64_t block_rows = 0) {
  return {k, inclusive, arithmetic, block_rows};
}

void expect_equal(const NeighbourScores& got, const NeighbourScores& want, const std::string& what) {
  EXPECT_EQ(got.fakes_in_balls, want.fakes_in_balls) << what;
  EXPECT_EQ(got.reals_in_balls, want.reals_in_balls) << what;
  EXPECT_EQ(got.hits, want.hits) << what;
  EXPECT_EQ(got.balls_hit, want.balls_hit) << what;
  EXPECT_EQ(got.authentic, want.authentic) << what;
  EXPECT_EQ(got.balls_of_fake, want.balls_of_fake) << what;
  EXPECT_EQ(got.sole_balls, want.sole_balls) << what;
  EXPECT_EQ(got.nearest_real, want.nearest_real) << what;
  EXPECT_EQ(got.nearest_distance, want.nearest_distance) << what;
}

// Real balls: 0 and 1 with radius 1, 3 with radius 2. Fake balls: 0.5 with 3.5, 4 and 5 with 1, 10 with 5.
TEST(Neighbours, PointsOnALineByHand) {
  const auto real = column({0, 1, 3}), fake = column({0.5, 4, 5, 10});
  const auto scores = neighbour_scores(real, fake, rule(1));
  EXPECT_EQ(scores.real, 3);
  EXPECT_EQ(scores.fake, 4);
  EXPECT_EQ(scores.k, 1);
  EXPECT_EQ(scores.fakes_in_balls, 3) << "all but 10";
  EXPECT_EQ(scores.hits, 4) << "0.5 in two balls, 4 and 5 in that of 3";
  EXPECT_EQ(scores.balls_hit, 3);
  EXPECT_THAT(scores.balls_of_fake, ElementsAre(2, 1, 1, 0));
  EXPECT_THAT(scores.sole_balls, ElementsAre(2, 0, 0, 0)) << "4 and 5 share theirs";
  EXPECT_EQ(scores.reals_in_balls, 3) << "in the ball of 0.5";
  EXPECT_DOUBLE_EQ(scores.precision, 0.75);
  EXPECT_DOUBLE_EQ(scores.recall, 1.0);
  EXPECT_DOUBLE_EQ(scores.f_score, 1.5 / 1.75);
  EXPECT_DOUBLE_EQ(scores.density, 1.0);
  EXPECT_DOUBLE_EQ(scores.coverage, 1.0);
  EXPECT_THAT(scores.nearest_real, ElementsAre(0, 2, 2, 2)) << "0.5 is as near to 0 as to 1";
  EXPECT_THAT(scores.nearest_distance, ElementsAre(0.5, 1, 2, 7));
  EXPECT_EQ(scores.authentic, 1) << "10 alone: 5 is as far from 3 as 3 from 1";
  EXPECT_DOUBLE_EQ(scores.authenticity, 0.25);

  const auto strict = neighbour_scores(real, fake, rule(1, false));
  EXPECT_EQ(strict.fakes_in_balls, 2) << "5 is at exactly the radius of 3";
  EXPECT_EQ(strict.hits, 3);
  EXPECT_EQ(strict.balls_hit, 3);
  EXPECT_EQ(strict.reals_in_balls, 3);
}

// An image and its copy are each other's neighbours at a distance of 0.
TEST(Neighbours, CopiesHaveBallsOfRadiusZero) {
  const auto real = column({1, 1, 4, 6}), fake = column({1, 1.5, 6, 6});
  const auto scores = neighbour_scores(real, fake, rule(1));
  // Real radii 0, 0, 2, 2; fake radii 0.5, 0.5, 0, 0.
  EXPECT_EQ(scores.fakes_in_balls, 3);
  EXPECT_EQ(scores.hits, 2 + 2 + 2) << "1 in two balls, both 6 in two: at exactly 2 from 4";
  EXPECT_EQ(scores.balls_hit, 4);
  EXPECT_EQ(scores.reals_in_balls, 3) << "1 twice, by 1 and at exactly 0.5 by 1.5; 6";
  EXPECT_EQ(scores.authentic, 1) << "1.5: its nearest has a copy";
  EXPECT_THAT(scores.nearest_distance, ElementsAre(0, 0.5, 0, 0));
  const auto strict = neighbour_scores(real, fake, rule(1, false));
  EXPECT_EQ(strict.hits, 2) << "both 6 in the ball of 6";
  EXPECT_EQ(strict.balls_hit, 1);
  EXPECT_EQ(strict.reals_in_balls, 2) << "1 twice, in the ball of 1 around 1: radius 0.5";
}

TEST(Neighbours, ASetAgainstItself) {
  const auto points = normal_features(1, 300, 20);
  const auto scores = neighbour_scores(points, points, rule(3));
  EXPECT_EQ(scores.precision, 1.0);
  EXPECT_EQ(scores.recall, 1.0);
  EXPECT_EQ(scores.coverage, 1.0);
  EXPECT_DOUBLE_EQ(scores.density, 4.0 / 3.0) << "every ball holds its centre and 3 neighbours";
  EXPECT_DOUBLE_EQ(neighbour_scores(points, points, rule(3, false)).density, 1.0);
  EXPECT_EQ(scores.authentic, 0);
  for (int64_t i = 0; i < 300; ++i) {
    EXPECT_EQ(scores.nearest_real[i], i);
    EXPECT_EQ(scores.nearest_distance[i], 0.0);
  }
}

struct Sets {
  std::string name;
  at::Tensor real, fake;
};

/// Sets on which float32 products lose what matters.
std::vector<Sets> hard_sets() {
  const auto real = normal_features(2, 230, 24), fake = normal_features(3, 170, 24) * 1.1F;
  const auto labels = torch::arange(230) % 5;
  const auto centres = normal_features(4, 5, 24) * 1000.0F;
  const auto clustered = real * 1e-3F + centres.index_select(0, labels);
  const auto clustered_fake = fake * 1e-3F + centres.index_select(0, labels.narrow(0, 0, 170));
  const auto grid = (real.narrow(1, 0, 3) * 2).round(), fake_grid = (fake.narrow(1, 0, 3) * 2).round();
  auto outlier = real.clone();
  outlier[17] *= 1e12F;
  return {{"plain", real, fake},
          {"far from the origin", real + 1000.0F, fake + 1000.0F},
          {"narrow clusters far apart", clustered, clustered_fake},
          {"a grid: many equal distances and copies", grid, fake_grid},
          {"fakes that are copies", real, at::cat({real.narrow(0, 100, 60), fake.narrow(0, 0, 50)})},
          {"all the same", torch::ones({40, 24}), torch::ones({30, 24})},
          {"one image again and again, with a little noise", real, real.narrow(0, 5, 1) + fake * 1e-6F},
          {"huge", real * 1e37F, fake * 1e37F},
          {"tiny", real * 1e-37F, fake * 1e-37F},
          {"one image far out", outlier, fake},
          {"one feature", real.narrow(1, 0, 1), fake.narrow(1, 0, 1)},
          {"collapsed into the middle", real, fake * 0.01F}};
}

TEST(Neighbours, EqualThePlainLoopInFloat64) {
  for (const auto& [name, real, fake] : hard_sets()) {
    for (const int64_t k : {1, 3, 10}) {
      for (const bool inclusive : {true, false}) {
        expect_equal(neighbour_scores(real, fake, rule(k, inclusive)),
                     slow_neighbours(real, fake, rule(k, inclusive)),
                     fmt::format("{}, k = {}, {}", name, k, inclusive));
      }
    }
  }
}

TEST(Neighbours, EqualThePlainLoopInHalfPrecision) {
  for (const auto& [name, real, fake] : hard_sets()) {
    for (const int64_t k : {1, 3}) {
      expect_equal(neighbour_scores(real, fake, rule(k, true, kHalf)),
                   slow_neighbours(real, fake, rule(k, true, kHalf)), fmt::format("{}, k = {}", name, k));
    }
  }
}

// Blocks that end within the sets, that are smaller than k, or hold all of one side; one thread and three.
TEST(Neighbours, DependNeitherOnBlocksNorOnThreads) {
  const int before = at::get_num_threads();
  for (const auto& [name, real, fake] : hard_sets()) {
    for (const auto arithmetic : {DistanceArithmetic::kFloat64, kHalf}) {
      const auto want = neighbour_scores(real, fake, rule(3, true, arithmetic));
      for (const int64_t size : {19, 64, 170}) {
        at::set_num_threads(size % 2 == 0 ? 1 : 3);
        expect_equal(neighbour_scores(real, fake, rule(3, true, arithmetic, size)), want,
                     fmt::format("{} in blocks of {}", name, size));
      }
      at::set_num_threads(before);
    }
  }
  const auto real = normal_features(2, 40, 5), fake = normal_features(3, 30, 5);
  expect_equal(neighbour_scores(real, fake, rule(3, true, {}, 2)), neighbour_scores(real, fake, rule(3)),
               "of 2");
}

TEST(Neighbours, BlocksOfTheUsualSize) {
  const auto real = normal_features(5, 2100, 4), fake = normal_features(6, 300, 4) * 0.9F;
  expect_equal(neighbour_scores(real, fake, rule(5)), slow_neighbours(real, fake, rule(5)), "2100 x 300");
}

TEST(Neighbours, TransposedRowsAreRead) {
  const auto real = normal_features(7, 50, 60).t(), fake = normal_features(8, 50, 70).t();
  expect_equal(neighbour_scores(real, fake), neighbour_scores(real.contiguous(), fake.contiguous()),
               "transposed");
}

// Means over draws of the same distribution, within 4 standard errors.
TEST(Neighbours, EqualDistributionsHaveDensityOneAndTheExpectedCoverage) {
  constexpr int64_t kDraws = 16, kReal = 250, kFake = 300, kDim = 8, kNeighbours = 5;
  std::vector<double> densities, coverages;
  for (int64_t draw = 0; draw < kDraws; ++draw) {
    const auto scores = neighbour_scores(normal_features(100 + draw, kReal, kDim),
                                         normal_features(200 + draw, kFake, kDim), rule(kNeighbours, false));
    densities.push_back(scores.density);
    coverages.push_back(scores.coverage);
  }
  const auto expect_mean = [](const std::vector<double>& values, double want) {
    const auto all = torch::tensor(values, at::kDouble);
    EXPECT_NEAR(all.mean().item<double>(), want, 4 * all.std().item<double>() / std::sqrt(double{kDraws}));
  };
  expect_mean(densities, 1.0);
  expect_mean(coverages, expected_coverage(kReal, kFake, kNeighbours));
}

TEST(Neighbours, ExpectedCoverage) {
  EXPECT_NEAR(expected_coverage(10'000, 10'000, 5), 0.96877, 5e-6);
  EXPECT_NEAR(expected_coverage(1'000'000'000, 1'000'000'000, 3), 1 - 1.0 / 8, 1e-8);
  // Of a real image's 2 + 1 others the nearest is the fake one in 1 of 3 cases.
  EXPECT_DOUBLE_EQ(expected_coverage(3, 1, 1), 1.0 / 3.0);
}

// torch-fidelity's own tests of precision and recall; swapping the sides swaps the two.
TEST(Neighbours, CollapseHasHighPrecisionAndLowRecall) {
  const auto real = normal_features(9, 200, 16) * 3.0F, fake = normal_features(10, 200, 16) * 0.1F;
  const auto collapsed = neighbour_scores(real, fake);
  EXPECT_GT(collapsed.precision, 0.8);
  EXPECT_LT(collapsed.recall, 0.3);
  const auto swapped = neighbour_scores(fake, real);
  EXPECT_EQ(swapped.precision, collapsed.recall);
  EXPECT_EQ(swapped.recall, collapsed.precision);
  EXPECT_EQ(swapped.f_score, collapsed.f_score);
  const auto apart = neighbour_scores(real, fake + 100.0F);
  EXPECT_EQ(apart.precision, 0.0);
  EXPECT_EQ(apart.recall, 0.0);
  EXPECT_EQ(apart.f_score, 0.0);
  EXPECT_EQ(apart.density, 0.0);
  EXPECT_EQ(apart.coverage, 0.0);
  EXPECT_EQ(apart.authenticity, 1.0);
}

TEST(Neighbours, AgreeWithTheToolsThatMeasureThem) {
  std::ifstream file(testing::source_dir() / "tests/golden/pairs.json");
  const auto golden = nlohmann::json::parse(file);
  ASSERT_EQ(golden["neighbours"].size(), 5U);
  for (const auto& entry : golden["neighbours"]) {
    const auto features = [&](const char* side) {
      const auto& spec = entry[side];
      return synthetic_features({spec["seed"], spec["count"], spec["offset"], spec["scale"]}, entry["dim"]);
    };
    const auto real = features("real"), fake = features("fake");
    // The shares of tools are float32: counts are compared.
    const auto expect_share = [&](const nlohmann::json& share, int64_t count, int64_t of, const char* what) {
      EXPECT_NEAR(share.get<double>() * static_cast<double>(of), static_cast<double>(count), 1e-3)
          << entry["name"] << ": " << what;
    };
    const int64_t n = real.size(0), m = fake.size(0), k = entry["k"];
    const auto scores = neighbour_scores(real, fake, rule(k));
    expect_share(entry["torch_fidelity"]["precision"], scores.fakes_in_balls, m, "precision");
    expect_share(entry["torch_fidelity"]["recall"], scores.reals_in_balls, n, "recall");
    expect_share(entry["authpct"].get<double>() / 100, scores.authentic, m, "authenticity");
    const auto strict = neighbour_scores(real, fake, rule(k, false));
    expect_share(entry["prdc"]["precision"], strict.fakes_in_balls, m, "prdc's precision");
    expect_share(entry["prdc"]["recall"], strict.reals_in_balls, n, "prdc's recall");
    expect_share(entry["prdc"]["density"], strict.hits, k * m, "density");
    expect_share(entry["prdc"]["coverage"], strict.balls_hit, n, "coverage");
    const auto half = neighbour_scores(real, fake, rule(k, true, kHalf));
    expect_share(entry["float16"]["precision"], half.fakes_in_balls, m, "ADM's precision");
    expect_share(entry["float16"]["recall"], half.reals_in_balls, n, "ADM's recall");
  }
}

TEST(Neighbours, TellTheirProgressAndCanBeStopped) {
  struct Stop {};
  const auto real = normal_features(11, 300, 4), fake = normal_features(12, 250, 4);
  std::vector<int64_t> told;
  int64_t last_total = 0;
  neighbour_scores(real, fake, rule(3, true, {}, 100), [&](int64_t done, int64_t total) {
    told.push_back(done);
    last_total = total;
  });
  EXPECT_EQ(told.back(), last_total);
  EXPECT_EQ(told.size(), 6U + 6U + 9U);
  EXPECT_TRUE(std::is_sorted(told.begin(), told.end()));
  const auto stop = [](int64_t, int64_t) { throw Stop(); };
  EXPECT_THROW(neighbour_scores(real, fake, {}, stop), Stop);
}

TEST(Neighbours, RefuseWhatHasNone) {
  const auto some = torch::ones({10, 4});
  const auto data_error = [](const at::Tensor& real, const at::Tensor& fake, int64_t k = 3) {
    return message_of<core::DataError>([&] { neighbour_scores(real, fake, rule(k)); });
  };
  EXPECT_THAT(
      data_error(some, torch::ones({3, 4})),
      HasSubstr("a ball up to neighbour 3 needs at least 4 images on each side, and there are 10 real and "
                "3 fake ones"));
  EXPECT_THAT(data_error(some, torch::ones({30, 4}), 10), HasSubstr("at least 11 images"));
  EXPECT_THAT(data_error(some, torch::ones({10, 5})), HasSubstr("4 features and the fake side 5"));
  auto damaged = some.clone();
  damaged[9][3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(data_error(damaged, some), HasSubstr("the real features hold NaN or infinity"));
  damaged[9][3] = -std::numeric_limits<float>::infinity();
  EXPECT_THAT(data_error(some, damaged), HasSubstr("the fake features hold NaN or infinity"));
  EXPECT_THAT(message_of<core::UsageError>([&] { neighbour_scores(some, some, rule(0)); }),
              HasSubstr("k of 1 or more, not 0"));
}

// The example of prdc's README: two sets of 10,000 standard normal images in 1000 dimensions, k = 5, for
// which it prints precision 0.4772, recall 0.4705, density 1.0555 and coverage 0.9735.
TEST(SlowNeighbours, PrdcsExample) {
  const auto scores =
      neighbour_scores(normal_features(13, 10'000, 1000), normal_features(14, 10'000, 1000), rule(5, false));
  EXPECT_NEAR(scores.precision, 0.4772, 0.03);
  EXPECT_NEAR(scores.recall, 0.4705, 0.03);
  EXPECT_NEAR(scores.density, 1.0, 0.1);
  EXPECT_NEAR(scores.coverage, expected_coverage(10'000, 10'000, 5), 0.01);
}

// All distances of 20,000 images would be 1.6 GB.
TEST(SlowNeighbours, MemoryIsBounded) {
  const auto many = normal_features(15, 20'000, 32), others = normal_features(16, 20'000, 32);
  const auto longs = normal_features(17, 4500, 2048), other_longs = normal_features(18, 4500, 2048);
  neighbour_scores(many.narrow(0, 0, 3000), others.narrow(0, 0, 3000));  // threads with their own memory
  const testing::MemoryLimit limit(250 << 20);
  EXPECT_GT(neighbour_scores(many, others).precision, 0.3);
  EXPECT_GT(neighbour_scores(longs, other_longs).precision, 0.3);
}

}  // namespace
}  // namespace ddpm_eval::metrics
