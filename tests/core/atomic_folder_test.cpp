#include "base/core/atomic_folder.h"

#include "base/core/file_io.h"
#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"

#include <algorithm>

#include <gmock/gmock.h>

namespace ddpm_eval::core {
namespace {

namespace fs = std::filesystem;
using testing::message_of;
using testing::TempDir;

int64_t entries(const fs::path& folder) {
  return std::distance(fs::directory_iterator(folder), fs::directory_iterator());
}

TEST(AtomicFolder, AppearsWholeOnCommit) {
  const TempDir dir;
  for (const char* name : {"plain", "with/parents", "slash/"}) {
    const auto target = dir / name;
    AtomicFolder folder(target);
    write_file(folder.path() / "file", "bytes");
    EXPECT_FALSE(fs::exists(target / "file"));
    folder.commit();
    EXPECT_EQ(read_text(target / "file"), "bytes");
  }
  EXPECT_EQ(entries(dir.path()), 3) << "nothing else is left";
}

TEST(AtomicFolder, LeavesNothingWithoutCommit) {
  const TempDir dir;
  {
    const AtomicFolder folder(dir / "x");
    write_file(folder.path() / "file", "bytes");
  }
  EXPECT_EQ(entries(dir.path()), 0);
}

TEST(AtomicFolder, TakesAnEmptyFolderAndRefusesAnythingElse) {
  const TempDir dir;
  fs::create_directory(dir / "empty");
  AtomicFolder taken(dir / "empty");
  taken.commit();
  write_file(dir / "empty/file", "bytes");
  write_file(dir / "file", "bytes");
  fs::create_symlink("nowhere", dir / "link");
  for (const char* name : {"empty", "empty/", "file", "link"}) {
    EXPECT_THAT(message_of<UsageError>([&] { AtomicFolder(dir / name); }),
                ::testing::EndsWith("is there already; choose another name"));
  }
}

TEST(AtomicFolder, DoesNotReplaceWhatAppearedMeanwhile) {
  const TempDir dir;
  AtomicFolder folder(dir / "x");
  fs::create_directory(dir / "x");
  write_file(dir / "x/file", "another's");
  EXPECT_THAT(message_of<ResourceError>([&] { folder.commit(); }),
              ::testing::HasSubstr("cannot be put in place"));
  EXPECT_EQ(read_text(dir / "x/file"), "another's");
}

}  // namespace
}  // namespace ddpm_eval::core
