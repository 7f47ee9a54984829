#include "tests/support/run_fixture.h"

// The shipped configurations of the swiss roll, a few steps long.
namespace ddpm_eval {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::run_program;

class Notebook : public testing::RunFixture {
 protected:
  /// Standard error of training 5 steps of a shipped configuration.
  std::string train(const std::string& config, const std::string& run) const {
    const auto file = testing::source_dir() / "configs" / config;
    const auto result =
        run_program({"train", "--config", file.string(), "--out", path(run), "--set", "train.steps=5"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.err;
  }

  testing::ProgramResult sample(const std::string& run, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments{"sample",           "--run",  path(run), "--num", "4", "--out",
                                       path(run + ".npy"), "--json", "-"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto result = run_program(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result;
  }
};

TEST_F(Notebook, TrainingAndSamplingWarnOfAPriorThatDoesNotMatch) {
  const auto warning =
      HasSubstr("warning: the chain does not end in noise: alpha_bar_T = 0.605, so x_T keeps");
  for (const char* config : {"swiss-roll-notebook.toml", "swiss-roll-notebook-likelihood.toml"}) {
    EXPECT_THAT(train(config, config), warning);
    EXPECT_THAT(sample(config).err, warning);
  }
  EXPECT_THAT(train("swiss-roll.toml", "mended"), Not(HasSubstr("warning")));
  EXPECT_THAT(sample("mended").err, Not(HasSubstr("warning")));
}

TEST_F(Notebook, SamplesComeFromTheWeightsThatTheConfigurationNames) {
  train("swiss-roll-notebook.toml", "run");
  const auto weights = [&](const std::vector<std::string>& more) {
    return nlohmann::json::parse(sample("run", more).out)["weights"].get<std::string>();
  };
  EXPECT_EQ(weights({}), "last");
  train("swiss-roll.toml", "run2");
  EXPECT_EQ(nlohmann::json::parse(sample("run2").out)["weights"], "ema");
  EXPECT_EQ(nlohmann::json::parse(sample("run2", {"--last-weights"}).out)["weights"], "last");
  const auto score = [&](const std::string& query) {
    const auto result = run_program({"score", "--real", "swiss-roll?num=50", "--fake",
                                     "run:" + path("run") + "?num=50" + query, "--json", "-"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return nlohmann::json::parse(result.out)["metrics"];
  };
  EXPECT_EQ(score(""), score("&weights=last"));
  EXPECT_NE(score(""), score("&weights=ema"));
}

TEST_F(Notebook, AGatedNetworkIsForPoints) {
  const auto file = testing::source_dir() / "configs/swiss-roll-notebook.toml";
  const auto result = run_program({"train", "--config", file.string(), "--out", path("run"), "--set",
                                   "data.source=gaussian-noise:8x8x1?num=4"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(testing::error_line(result), HasSubstr("model.kind: 'gated-mlp' is for points"));
}

}  // namespace
}  // namespace ddpm_eval
