#include "base/core/file_copy.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ddpm_eval::core {
namespace {

using testing::TempDir;

TEST(FileCopy, ACopyStaysWhenItsSourceIsReplaced) {
  const TempDir dir;
  write_file(dir / "last", "one");
  keep_copy(dir / "last", dir / "best");
  keep_copy(dir / "last", dir / "best");  // the same bytes again
  write_file(dir / "last", "two");
  EXPECT_EQ(read_text(dir / "best"), "one");
  keep_copy(dir / "last", dir / "best");
  EXPECT_EQ(read_text(dir / "best"), "two");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 2) << "nothing is left over";
}

TEST(FileCopy, WhereThereAreNoLinksItIsACopy) {
  const TempDir dir;
  write_file(dir / "best", "before");
  keep_copy("/proc/self/comm", dir / "best");
  EXPECT_EQ(read_text(dir / "best"), read_text("/proc/self/comm"));
}

TEST(FileCopy, FailuresNameTheFile) {
  const TempDir dir;
  EXPECT_THAT(testing::message_of<ResourceError>([&] { keep_copy(dir / "none", dir / "best"); }),
              ::testing::HasSubstr("none"));
  remove_file(dir / "none");
  std::filesystem::create_directories(dir / "full/below");
  EXPECT_THROW(remove_file(dir / "full"), ResourceError);
}

}  // namespace
}  // namespace ddpm_eval::core
