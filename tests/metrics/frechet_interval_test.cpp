#include "metrics/frechet_interval.h"

#include "base/core/error.h"
#include "base/tensor/noise.h"
#include "metrics/frechet.h"
#include "tests/support/errors.h"
#include "tests/support/normal_sets.h"
#include "tests/support/synthetic_features.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tensor_matchers.h"

#include <cmath>
#include <fstream>
#include <limits>
#include <stdexcept>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::metrics {
namespace {

using ::testing::HasSubstr;
using testing::message_of;
using testing::shifted_normal;
using testing::standard_normal;
using testing::synthetic_features;
using testing::TensorNear;

FrechetIntervalOptions with(IntervalMethod method) { return {.method = method}; }

constexpr IntervalMethod kMethods[] = {IntervalMethod::kJackknife, IntervalMethod::kDelta};

TEST(MomentsWithout, EqualThoseOfTheRest) {
  const auto features = synthetic_features({1, 700, 40.0, 1.0}, 24);
  for (const int64_t size : {2, 20, 650}) {
    const auto rest = without(moments_of(features), moments_of(features.narrow(0, 0, size)));
    const auto wanted = moments_of(features.narrow(0, size, 700 - size));
    EXPECT_EQ(rest.count, wanted.count);
    EXPECT_THAT(rest.mean, TensorNear(wanted.mean, 1e-12)) << size;
    EXPECT_THAT(rest.covariance, TensorNear(wanted.covariance, 1e-12)) << size;
  }
}

TEST(FrechetInterval, TheValueIsTheDistanceAndTheIntervalsSurroundTheirCentres) {
  const auto real = standard_normal(8).draw(1, 0, 300);
  const auto fake = shifted_normal(8, 1.0, 1.3).draw(2, 0, 400);
  for (const auto method : kMethods) {
    const auto found = frechet_interval(real, fake, with(method));
    EXPECT_EQ(found.value, frechet_distance(moments_of(real), moments_of(fake)).distance);
    const bool groups = method == IntervalMethod::kJackknife;
    EXPECT_THAT(found.withheld, HasSubstr(groups ? "" : "use the jackknife"));
    EXPECT_EQ(found.withheld.empty(), groups);
    EXPECT_FALSE(found.conditional_on_real);
    ASSERT_TRUE(found.at_count);
    ASSERT_EQ(found.at_infinity.has_value(), groups);
    EXPECT_EQ(found.at_count->centre, found.value);
    EXPECT_EQ(found.method, groups ? "jackknife" : "delta");
    EXPECT_EQ(found.groups, groups ? 20 : 0);
    const double reach = (groups ? 2.0930 : 1.9679) * found.deviation;
    const double root = std::sqrt(found.value), part = reach / (2 * root);
    EXPECT_NEAR(std::sqrt(found.at_count->low), root - part, 1e-4 * part);
    EXPECT_NEAR(std::sqrt(found.at_count->high), root + part, 1e-4 * part);
    EXPECT_EQ(found.at_count->estimand, "the expected Frechet distance of 400 fake from 300 real images");
    if (groups) {
      EXPECT_EQ(found.at_infinity->centre, found.value - found.bias);
      EXPECT_NEAR(found.at_infinity->low, found.at_count->low - found.bias, 1e-12);
      EXPECT_NEAR(found.at_infinity->high, found.at_count->high - found.bias, 1e-12);
      EXPECT_THAT(found.at_infinity->estimand, HasSubstr("infinitely many fake from infinitely many real"));
    }
  }
}

TEST(FrechetInterval, StoredStatisticsMakeItConditional) {
  const auto real = standard_normal(8).draw(1, 0, 300);
  const auto fake = shifted_normal(8, 1.0, 1.3).draw(2, 0, 400);
  for (const auto method : kMethods) {
    const auto both = frechet_interval(real, fake, with(method));
    auto statistics = moments_of(real);
    statistics.count = 0;
    const auto found = frechet_interval(statistics, fake, with(method));
    EXPECT_TRUE(found.conditional_on_real);
    EXPECT_EQ(found.value, both.value);
    EXPECT_LT(found.deviation, both.deviation);
    EXPECT_LT(found.bias, both.bias);
    ASSERT_TRUE(found.at_count);
    EXPECT_THAT(found.at_count->estimand, HasSubstr("400 fake images from this stored reference"));
    if (found.at_infinity) {
      EXPECT_THAT(found.at_infinity->estimand, HasSubstr("this stored reference"));
    }
    EXPECT_EQ(found.at_infinity.has_value(), method == IntervalMethod::kJackknife);
  }
}

// Both at once: deviations of the two methods agree within the scatter of 19 degrees of freedom.
TEST(FrechetInterval, TheMethodsAgree) {
  for (const bool conditional : {false, true}) {
    const auto real = standard_normal(12).draw(3, 0, 2000);
    const auto fake = shifted_normal(12, 0.6, 1.4).draw(4, 0, 3000);
    const auto of = [&](IntervalMethod method) {
      return conditional ? frechet_interval(moments_of(real), fake, with(method))
                         : frechet_interval(real, fake, with(method));
    };
    const auto groups = of(IntervalMethod::kJackknife), delta = of(IntervalMethod::kDelta);
    EXPECT_NEAR(groups.deviation, delta.deviation, 0.4 * delta.deviation) << conditional;
    EXPECT_NEAR(groups.bias, delta.bias, 0.5 * delta.bias) << conditional;
  }
}

TEST(FrechetInterval, IsAFunctionOfTheSeed) {
  const auto real = standard_normal(4).draw(5, 0, 150);
  const auto fake = shifted_normal(4, 0.5, 1.2).draw(6, 0, 130);
  for (const auto method : kMethods) {
    const auto one = frechet_interval(real, fake, {.method = method, .seed = 7});
    const auto again = frechet_interval(real, fake, {.method = method, .seed = 7});
    EXPECT_EQ(one.deviation, again.deviation);
    EXPECT_EQ(one.bias, again.bias);
  }
  EXPECT_NE(frechet_interval(real, fake, {.seed = 7}).deviation,
            frechet_interval(real, fake, {.seed = 8}).deviation);
}

// In the order of a folder with classes, contiguous groups would differ by the class.
TEST(FrechetInterval, TheOrderOfTheImagesMattersNot) {
  const auto real = standard_normal(4).draw(7, 0, 1000);
  const auto fake = shifted_normal(4, 2.0, 1.2).draw(8, 0, 1000);
  const auto sorted = fake.index_select(0, fake.select(1, 0).argsort());
  const auto as_drawn = frechet_interval(real, fake), in_order = frechet_interval(real, sorted);
  EXPECT_NEAR(in_order.value, as_drawn.value, 1e-9);
  EXPECT_NEAR(in_order.deviation, as_drawn.deviation, 0.5 * as_drawn.deviation);
}

TEST(FrechetInterval, IsWithheldBelowTwoImagesAFeature) {
  const auto real = standard_normal(16).draw(9, 0, 100);
  for (const auto method : kMethods) {
    const int64_t least = method == IntervalMethod::kJackknife ? 40 : 32;
    const auto few = frechet_interval(real, real.narrow(0, 0, least - 1), with(method));
    EXPECT_THAT(few.withheld, HasSubstr(fmt::format("{} images for 16 features", least - 1)));
    EXPECT_FALSE(few.at_count || few.at_infinity);
    EXPECT_TRUE(std::isnan(few.deviation) && std::isnan(few.bias));
    EXPECT_TRUE(std::isfinite(few.value));
    EXPECT_FALSE(frechet_interval(real.narrow(0, 0, least - 1), real, with(method)).at_count);
    const auto stored = frechet_interval(moments_of(real), real.narrow(0, 0, least - 1), with(method));
    EXPECT_FALSE(stored.at_count);
    EXPECT_THAT(stored.withheld,
                HasSubstr(fmt::format("{} fake images for 16 features: below {} their", least - 1, least)))
        << "of the stored side nothing is known";
    EXPECT_TRUE(frechet_interval(real, real.narrow(0, 0, least) + 1.0F, with(method)).at_count);
  }
}

// Equal distributions in 40 dimensions: the bias is some fifteen deviations, and what is left of it at 1/N^2
// would be enough to miss the truth.
TEST(FrechetInterval, InfinityIsWithheldWhereTheBiasDrownsIt) {
  const auto found =
      frechet_interval(standard_normal(40).draw(10, 0, 120), standard_normal(40).draw(11, 0, 120));
  EXPECT_TRUE(found.at_count);
  EXPECT_FALSE(found.at_infinity);
  EXPECT_THAT(found.withheld, HasSubstr("infinitely many images: of the bias of"));
}

TEST(FrechetInterval, ConstantFeaturesChangeNothing) {
  const auto real = standard_normal(6).draw(12, 0, 300);
  const auto fake = shifted_normal(6, 1.0, 1.3).draw(13, 0, 300);
  const auto padded = [](const at::Tensor& rows) {
    return at::cat({rows, torch::full({rows.size(0), 2}, 0.25F)}, 1);
  };
  for (const auto method : kMethods) {
    const auto plain = frechet_interval(real, fake, with(method));
    const auto dead = frechet_interval(padded(real), padded(fake), with(method));
    EXPECT_NEAR(dead.deviation, plain.deviation, 1e-6 * plain.deviation);
    EXPECT_NEAR(dead.bias, plain.bias, 1e-6 * plain.bias);
  }
}

TEST(FrechetInterval, AgreesWithNumpy) {
  std::ifstream file(testing::source_dir() / "tests/golden/uncertainty.json");
  const auto golden = nlohmann::json::parse(file);
  for (const auto& entry : golden["frechet"]) {
    // Laid out so that the shuffle of this side brings the rows into the golden order.
    const auto laid_out = [&](const char* name, int64_t side) {
      const auto& spec = entry[name];
      const auto rows =
          synthetic_features({spec["seed"], spec["count"], spec["offset"], spec["scale"]}, entry["dim"]);
      return torch::empty_like(rows).index_copy_(
          0, tensor::permutation({5, "jackknife.groups"}, side, rows.size(0)), rows);
    };
    const auto real = laid_out("real", 0), fake = laid_out("fake", 1);
    for (const bool conditional : {false, true}) {
      const FrechetIntervalOptions options = {.groups = golden["groups"], .seed = 5};
      const auto found = conditional ? frechet_interval(moments_of(real), fake, options)
                                     : frechet_interval(real, fake, options);
      const auto& wanted = entry[conditional ? "conditional" : "jackknife"];
      EXPECT_NEAR(found.value, wanted["value"].get<double>(), 1e-8) << entry["name"];
      EXPECT_NEAR(found.bias, wanted["bias"].get<double>(), 1e-6) << entry["name"];
      EXPECT_NEAR(found.deviation, wanted["deviation"].get<double>(), 1e-6) << entry["name"];
    }
  }
}

TEST(FrechetInterval, TellsOfItsProgressAndCanBeEnded) {
  const auto real = standard_normal(3).draw(14, 0, 100);
  const auto fake = standard_normal(3).draw(15, 0, 100);
  int64_t last = 0;
  frechet_interval(real, fake, {.groups = 5}, [&](int64_t done, int64_t total) {
    EXPECT_TRUE(done == last + 1 || done == 0);
    EXPECT_EQ(total, 7);
    last = done;
  });
  EXPECT_EQ(last, 7);
  for (const auto method : kMethods) {
    EXPECT_THROW(frechet_interval(real, fake, with(method),
                                  [](int64_t, int64_t) { throw std::runtime_error("enough"); }),
                 std::runtime_error);
  }
}

TEST(FrechetInterval, RefusesWhatHasNone) {
  const auto good = standard_normal(4).draw(16, 0, 100);
  EXPECT_THAT(message_of<core::UsageError>([&] { frechet_interval(good, good, {.groups = 3}); }),
              HasSubstr("at least 4 groups"));
  EXPECT_THAT(message_of<core::UsageError>([&] { frechet_interval(good, good, {.level = 1.0}); }),
              HasSubstr("between 0 and 1"));
  EXPECT_THAT(
      message_of<core::DataError>([&] { frechet_interval(good, standard_normal(5).draw(1, 0, 100)); }),
      HasSubstr("the fake side 5"));
  auto bad = good.clone();
  bad[3][1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(message_of<core::DataError>([&] { frechet_interval(good, bad); }), HasSubstr("NaN"));
  EXPECT_THAT(message_of<core::DataError>([&] { frechet_interval(good, good.narrow(0, 0, 1)); }),
              HasSubstr("at least 2 images"));
}

}  // namespace
}  // namespace ddpm_eval::metrics
