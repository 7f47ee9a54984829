#include "base/core/file_lock.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "tests/support/errors.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ddpm_eval::core {
namespace {

using testing::TempDir;

TEST(FileLock, OneHoldsItAndItIsFreeAgainWhenThatOneGoes) {
  const TempDir dir;
  const auto file = dir / "job.lock";
  EXPECT_FALSE(FileLock::is_held(file));
  EXPECT_FALSE(std::filesystem::exists(file)) << "asking makes no file";
  {
    const auto first = FileLock::take(file);
    ASSERT_TRUE(first);
    EXPECT_FALSE(FileLock::take(file));
    EXPECT_TRUE(FileLock::is_held(file));
  }
  EXPECT_FALSE(FileLock::is_held(file));
  EXPECT_TRUE(FileLock::take(file));
}

TEST(FileLock, AFileThatWasLeftOverIsFree) {
  const TempDir dir;
  testing::put_file(dir / "job.lock", "");
  EXPECT_FALSE(FileLock::is_held(dir / "job.lock"));
  auto lock = FileLock::take(dir / "job.lock");
  ASSERT_TRUE(lock);
  const auto moved = std::move(*lock);
  EXPECT_TRUE(FileLock::is_held(dir / "job.lock")) << "a lock that was moved is still held";
  remove_abandoned_files(dir.path());
  EXPECT_TRUE(std::filesystem::exists(dir / "job.lock"));
}

TEST(FileLock, AFolderThatIsNotThereIsTold) {
  const TempDir dir;
  EXPECT_THAT(testing::message_of<ResourceError>([&] { FileLock::take(dir / "none/job.lock"); }),
              ::testing::HasSubstr("none/job.lock: cannot be written: No such file"));
}

}  // namespace
}  // namespace ddpm_eval::core
