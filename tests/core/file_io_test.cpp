#include "base/core/file_io.h"

#include "base/core/digest.h"
#include "base/core/error.h"
#include "base/core/interrupt.h"
#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"

#include <fstream>
#include <thread>

#include <gmock/gmock.h>
#include <sys/stat.h>

namespace ddpm_eval::core {
namespace {

using ::testing::HasSubstr;
using testing::message_of;

TEST(Digest, OfAFileStopsWhenAsked) {
  const testing::TempDir dir;
  write_file(dir / "a", "abc");
  EXPECT_EQ(sha256_of_file(dir / "a"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  request_interrupt(true);
  EXPECT_EQ(message_of<InterruptedError>([&] { sha256_of_file(dir / "a"); }),
            "interrupted while " + (dir / "a").string() + " was read");
  request_interrupt(false);
}

TEST(FileIo, AtomicFileAppearsOnlyOnCommit) {
  const testing::TempDir dir;
  const auto target = dir / "a.txt";
  {
    AtomicFile file(target);
    file.write("abandoned");
  }
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
  write_file(target, "kept");
  EXPECT_EQ(read_text(target), "kept");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 1);
}

TEST(FileIo, BytesAlreadyWrittenCanBeReplaced) {
  const testing::TempDir dir;
  AtomicFile file(dir / "a.txt");
  file.write("?? of 12");
  file.overwrite(0, "07");
  file.write("!");
  file.commit(Durability::kLater);
  EXPECT_EQ(read_text(dir / "a.txt"), "07 of 12!");
}

TEST(FileIo, FailuresNameTheTarget) {
  const testing::TempDir dir;
  EXPECT_THAT(
      message_of<ResourceError>([&] { write_file(dir / "no/such/a.txt", "x"); }),
      HasSubstr("no/such/a.txt: cannot be written: No such file or directory; make the folder first"));
  EXPECT_THAT(message_of<ResourceError>([&] { write_file(dir.path(), "x"); }), HasSubstr("is a folder"));
  write_file(dir / "file", "x");
  EXPECT_THAT(message_of<ResourceError>([&] { make_folders(dir / "file/sub"); }), HasSubstr("file/sub"));
}

TEST(FileIo, AFullDiskIsAResourceError) {
  if (!std::filesystem::exists("/dev/full")) {
    GTEST_SKIP() << "no /dev/full here";
  }
  EXPECT_THAT(message_of<ResourceError>([] { append_to_file("/dev/full", "x"); }),
              HasSubstr("No space left on device"));
}

TEST(FileIo, DevicesAreWrittenInPlaceAndLinksFollowed) {
  write_file("/dev/null", "x");
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
  const testing::TempDir dir;
  write_file(dir / "target", "old");
  std::filesystem::create_symlink(dir / "target", dir / "link");
  write_file(dir / "link", "new");
  EXPECT_TRUE(std::filesystem::is_symlink(dir / "link"));
  EXPECT_EQ(read_text(dir / "target"), "new");
}

TEST(FileIo, WhetherATargetCanBeWrittenIsToldWithoutTouchingIt) {
  const testing::TempDir dir;
  write_file(dir / "kept", "kept");
  require_writable(dir / "kept");
  require_writable(dir / "new");
  require_writable("/dev/null");
  EXPECT_EQ(read_text(dir / "kept"), "kept");
  EXPECT_FALSE(std::filesystem::exists(dir / "new"));
  EXPECT_THAT(message_of<ResourceError>([&] { require_writable(dir / "kept/below"); }),
              HasSubstr("kept/below: cannot be written"));
  EXPECT_THAT(message_of<ResourceError>([&] { require_writable(dir / "none/file"); }),
              HasSubstr("No such file"));
  EXPECT_THAT(message_of<ResourceError>([&] { require_writable(dir.path()); }), HasSubstr("is a folder"));
}

TEST(FileIo, AFolderIsLockedAgainstASecondWriterUntilTheFirstIsGone) {
  const testing::TempDir dir;
  {
    const FolderLock first(dir.path());
    EXPECT_THAT(message_of<ResourceError>([&] { const FolderLock second(dir.path()); }),
                HasSubstr("another process is writing there"));
  }
  const FolderLock third(dir.path());
}

TEST(FileIo, OnlyWhatAtomicFilesLeaveIsRemoved) {
  const testing::TempDir dir;
  for (const char* name : {"a.png.tmp-12-0", "b.tmp-345-67", "c.tmp-1", "d.tmp-x-1", ".tmp-1-2", "e.png"}) {
    write_file(dir / name, "x");
  }
  std::filesystem::create_directory(dir / "f.tmp-0");
  remove_abandoned_files(dir.path());
  std::vector<std::string> left;
  for (const auto& entry : std::filesystem::directory_iterator(dir.path())) {
    left.push_back(entry.path().filename().string());
  }
  EXPECT_THAT(left, ::testing::UnorderedElementsAre("d.tmp-x-1", ".tmp-1-2", "e.png", "f.tmp-0"));
}

TEST(FileIo, ReadingMissingFoldersAndTooLargeFilesIsADataError) {
  const testing::TempDir dir;
  EXPECT_THAT(message_of<DataError>([&] { read_file(dir / "none"); }), HasSubstr("No such file"));
  EXPECT_THAT(message_of<DataError>([&] { read_file(dir.path()); }), HasSubstr("is a folder"));
  write_file(dir / "big", "12345");
  EXPECT_THAT(message_of<DataError>([&] { read_file(dir / "big", 4); }),
              HasSubstr("5 bytes, more than the 4"));
}

TEST(FileIo, APipeIsReadToItsEndOnceItHasAWriter) {
  const testing::TempDir dir;
  const auto pipe = dir / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(message_of<DataError>([&] { read_file(pipe); }), HasSubstr("pipe: nobody writes to this pipe"));
  const std::string text(200'000, 'x');  // more than a pipe holds
  std::thread writer([&] { append_to_file(pipe, text); });
  EXPECT_EQ(read_text(pipe), text);
  writer.join();
}

TEST(FileIo, DevicesAreNotRead) {
  EXPECT_THAT(message_of<DataError>([] { read_file("/dev/zero"); }), HasSubstr("/dev/zero: is a device"));
}

TEST(FileIo, Sha256MatchesTheStandardsExample) {
  const testing::TempDir dir;
  write_file(dir / "abc", "abc");  // FIPS 180-2, appendix B.1
  constexpr auto kWant = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  EXPECT_EQ(sha256_of_file(dir / "abc"), kWant);
  EXPECT_EQ(sha256_hex(std::string_view("abc")), kWant);
}

}  // namespace
}  // namespace ddpm_eval::core
