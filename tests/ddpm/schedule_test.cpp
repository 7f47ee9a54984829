#include "ddpm/schedule.h"

#include "base/core/error.h"
#include "ddpm/process.h"
#include "tests/support/errors.h"

#include <cmath>

#include <gmock/gmock.h>

namespace ddpm_eval::ddpm {
namespace {

using ::testing::HasSubstr;
using testing::message_of;

std::vector<double> betas_of(const std::string& kind, int64_t steps = 1000, bool rescale = false) {
  ScheduleConfig config;
  config.kind = kind;
  config.steps = steps;
  config.rescale = rescale;
  return make_betas(config);
}

ProcessTables tables_of(const std::string& kind, int64_t steps = 1000, bool rescale = false) {
  return DiffusionProcess(betas_of(kind, steps, rescale)).tables();
}

/// One row of the table of schedules for beta 1e-4 .. 0.02 and T = 1000, with the digits that it is quoted
/// with.
struct Row {
  const char* kind;
  double alpha_bar_T, tolerance_T;
  double root_T, tolerance_root;
  double alpha_bar_after_500, tolerance_500;
  int64_t first_below_half;
};

class Schedules : public ::testing::TestWithParam<Row> {};

TEST_P(Schedules, MatchTheTable) {
  const auto& row = GetParam();
  const auto alpha_bar = tables_of(row.kind).alpha_bar;
  EXPECT_NEAR(alpha_bar.back(), row.alpha_bar_T, row.tolerance_T);
  EXPECT_NEAR(std::sqrt(alpha_bar.back()), row.root_T, row.tolerance_root);
  EXPECT_NEAR(alpha_bar[499], row.alpha_bar_after_500, row.tolerance_500);
  // jsd is exactly 1/2 at t = 499, on either side of it once rounded.
  const auto below =
      std::find_if(alpha_bar.begin(), alpha_bar.end(), [](double a) { return a < 0.5 - 1e-12; });
  EXPECT_EQ(below - alpha_bar.begin(), row.first_below_half);
}

INSTANTIATE_TEST_SUITE_P(All, Schedules,
                         ::testing::Values(Row{"linear", 4.04e-5, 5e-8, .00635, 5e-6, .0786, 5e-5, 259},
                                           Row{"quad", 7.33e-4, 5e-7, .0271, 5e-5, .333, 5e-4, 418},
                                           Row{"sigmoid", 3.97e-5, 5e-8, .0063, 5e-5, .302, 5e-4, 439},
                                           Row{"const", 1.68e-9, 5e-12, 4.1e-5, 5e-7, 4.1e-5, 5e-7, 34},
                                           Row{"warmup10", 4.6e-9, 5e-11, 6.8e-5, 5e-7, 1.1e-4, 5e-6, 82},
                                           Row{"warmup50", 2.6e-7, 5e-9, 5.1e-4, 5e-6, .00635, 5e-6, 184},
                                           Row{"jsd", 0, 0, 0, 0, .5, 1e-12, 500},
                                           Row{"cosine", 2.4e-9, 5e-11, 4.9e-5, 5e-7, .494, 5e-4, 496}),
                         [](const auto& row) { return std::string(row.param.kind); });

TEST(Schedule, LinearHasThePapersConstants) {
  const auto beta = betas_of("linear");
  EXPECT_DOUBLE_EQ(beta[0], 1e-4);
  EXPECT_NEAR(beta[1], 1.1992e-4, 5e-9);
  EXPECT_NEAR(beta[2], 1.3984e-4, 5e-9);
  EXPECT_EQ(beta[999], 0.02);
}

TEST(Schedule, SigmoidEndsNearItsEndPoints) {
  const auto beta = betas_of("sigmoid");
  EXPECT_NEAR(beta.front(), 1.492e-4, 5e-8);
  EXPECT_NEAR(beta.back(), 0.01995, 5e-6);
}

TEST(Schedule, CosineClipsItsLastStepAlone) {
  const auto beta = betas_of("cosine");
  EXPECT_NEAR(beta[0], 4.128e-5, 5e-9);
  EXPECT_NEAR(beta[1], 4.614e-5, 5e-9);
  EXPECT_NEAR(beta[998], .75, 5e-3);
  EXPECT_EQ(beta[999], .999);
  EXPECT_NEAR(betas_of("cosine", 4000)[0], 9.87e-6, 5e-9);
}

TEST(Schedule, RescalingKeepsTheEndOfAShortChain) {
  EXPECT_NEAR(tables_of("linear", 100).alpha_bar.back(), .364, 5e-4);
  EXPECT_NEAR(tables_of("linear", 50).alpha_bar.back(), .603, 5e-4);
  EXPECT_NEAR(tables_of("linear", 100, true).alpha_bar.back(), 2.04e-5, 5e-8);
  EXPECT_EQ(betas_of("cosine", 100, true), betas_of("cosine", 100));
}

TEST(Schedule, OneStepIsAllowed) { EXPECT_EQ(betas_of("linear", 1), std::vector<double>{1e-4}); }

TEST(Schedule, RefusesWhatIsNoSchedule) {
  const auto refusal = [](ScheduleConfig config) {
    return message_of<core::UsageError>([&] { make_betas(config); });
  };
  EXPECT_EQ(refusal({.kind = "linear", .steps = 0}), "process.steps: 0 is not within 1..100000");
  EXPECT_THAT(refusal({.kind = "linear", .steps = 10, .beta_start = 0}), HasSubstr("0 < beta_start"));
  EXPECT_THAT(refusal({.kind = "linear", .beta_start = .1, .beta_end = .01}), HasSubstr("0.1 and 0.01"));
  EXPECT_EQ(refusal({.kind = "linear", .steps = 10, .rescale = true}),
            "process: beta reaches 2, above 1; lower beta_end, or use more steps");
  EXPECT_THAT(refusal({.kind = "nonsense"}), HasSubstr("'nonsense' is not a schedule"));
}

TEST(Schedule, ConfigKnowsEveryKind) {
  for (const char* kind : {"linear", "quad", "sigmoid", "cosine", "const", "warmup10", "warmup50", "jsd"}) {
    auto tree = core::ConfigTree::from_text(fmt::format("kind = '{}'\nsteps = 20\n", kind), "c.toml");
    ScheduleConfig config;
    core::read_config(tree, config);
    EXPECT_EQ(make_betas(config).size(), 20U) << kind;
  }
}

}  // namespace
}  // namespace ddpm_eval::ddpm
