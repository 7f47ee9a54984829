#include "tests/support/run_fixture.h"

// The shipped configuration for points as a user runs it: its samples are nearly as close to fresh data as
// other fresh data is.
namespace ddpm_eval {
namespace {

class SlowSwissRoll : public testing::RunFixture {};

TEST_F(SlowSwissRoll, SamplesAreWithinTwiceTheFloor) {
  const auto config = testing::source_dir() / "configs/swiss-roll.toml";
  done({"train", "--config", config.string(), "--out", path("run")});
  done({"sample", "--run", path("run"), "--num", "2000", "--seed", "1", "--out", path("s.npy")});
  const auto record = record_of({"score", "--real", "swiss-roll?num=2000&seed=99", "--fake", path("s.npy")});
  EXPECT_LT(record["metrics"]["sliced_wasserstein_distance"].get<double>(),
            2 * record["floor"]["sliced_wasserstein_distance"].get<double>());
}

}  // namespace
}  // namespace ddpm_eval
