#include "eval/score_log.h"

#include "base/core/file_io.h"
#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ddpm_eval::eval {
namespace {

using ::testing::HasSubstr;
using testing::message_of;
using testing::TempDir;

const core::Json kContext = {{"metric", "frechet_distance"}, {"count", 50}};

TEST(ScoreLog, TheLowestScoreIsTheBestAndTheEarliestOfEqualOnes) {
  const TempDir folder;
  ScoreLog log(folder / "scores.jsonl", kContext, 0);
  EXPECT_EQ(log.best(), nullptr);
  log.append({10, {}, "not finite"});
  EXPECT_EQ(log.best(), nullptr);
  log.append({20, 3.5, {}});
  log.append({30, 2.0, {}});
  log.append({40, 2.0, {}});
  ASSERT_NE(log.best(), nullptr);
  EXPECT_EQ(log.best()->step, 30);
  EXPECT_TRUE(log.has(40));
  EXPECT_FALSE(log.has(41));
  EXPECT_EQ(
      core::read_text(folder / "scores.jsonl"),
      "{\"step\":10,\"value\":null,\"problem\":\"not finite\",\"best\":false,\"metric\":\"frechet_distance\","
      "\"count\":50}\n"
      "{\"step\":20,\"value\":3.5,\"best\":true,\"metric\":\"frechet_distance\",\"count\":50}\n"
      "{\"step\":30,\"value\":2.0,\"best\":true,\"metric\":\"frechet_distance\",\"count\":50}\n"
      "{\"step\":40,\"value\":2.0,\"best\":false,\"metric\":\"frechet_distance\",\"count\":50}\n");
}

TEST(ScoreLog, ResumeDropsLaterAndHalfLines) {
  const TempDir folder;
  const auto path = folder / "scores.jsonl";
  {
    ScoreLog log(path, kContext, 0);
    log.append({10, 3.0, {}});
    log.append({20, 1.0, {}});
  }
  const auto whole = core::read_text(path);
  core::append_to_file(path, "{\"step\":30,\"val");
  EXPECT_EQ(ScoreLog(path, kContext, 100).count(), 2);
  EXPECT_EQ(core::read_text(path), whole);
  const ScoreLog taken_back(path, kContext, 15);
  EXPECT_EQ(taken_back.best()->step, 10);
  EXPECT_EQ(core::read_text(path), whole.substr(0, whole.find('\n') + 1));
}

TEST(ScoreLog, ADamagedLineIsToldNotDropped) {
  const TempDir folder;
  const auto path = folder / "scores.jsonl";
  ScoreLog(path, kContext, 0).append({10, 3.0, {}});
  auto text = core::read_text(path);
  text.replace(text.find("3.0"), 3, "\"x\"");
  core::write_file(path, text);
  EXPECT_THAT(message_of<core::DataError>([&] { ScoreLog(path, kContext, 10); }),
              HasSubstr("scores.jsonl: line 1 is damaged"));
  EXPECT_EQ(core::read_text(path), text);
}

TEST(ScoreLog, ScoresOfAnotherMakingAreNoCompany) {
  const TempDir folder;
  const auto path = folder / "scores.jsonl";
  ScoreLog(path, kContext, 0).append({10, 3.0, {}});
  auto other = kContext;
  other["count"] = 100;
  EXPECT_THAT(message_of<core::UsageError>([&] { ScoreLog(path, other, 10); }),
              HasSubstr("scores.jsonl: has scores with another count: 50 there, 100 here"));
}

}  // namespace
}  // namespace ddpm_eval::eval
