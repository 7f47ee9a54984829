#include "eval/ablation/grid_status.h"

#include "tests/support/files.h"
#include "tests/support/temp_dir.h"

#include <gtest/gtest.h>

namespace ddpm_eval::eval {
namespace {

TEST(LastLoggedStep, IsThatOfTheLastWholeLine) {
  const testing::TempDir dir;
  const auto log = dir / "log.jsonl";
  EXPECT_FALSE(last_logged_step(log));
  testing::put_file(log, "");
  EXPECT_FALSE(last_logged_step(log));
  testing::put_file(log, "{\"step\": 5}");
  EXPECT_FALSE(last_logged_step(log)) << "half a line";
  testing::put_file(log, "{\"step\": 5}\n{\"step\": 10}\n{\"step\": 1");
  EXPECT_EQ(last_logged_step(log), 10);
  testing::put_file(log, "{\"step\": 5}\nnoise\n\n");
  EXPECT_EQ(last_logged_step(log), 5);
}

TEST(LastLoggedStep, OfALongLogTheEndIsEnough) {
  const testing::TempDir dir;
  std::string text;
  for (int step = 1; step <= 20'000; ++step) {
    text += "{\"step\": " + std::to_string(step) + ", \"loss\": 0.5}\n";
  }
  testing::put_file(dir / "log.jsonl", text);
  EXPECT_EQ(last_logged_step(dir / "log.jsonl"), 20'000);
}

}  // namespace
}  // namespace ddpm_eval::eval
