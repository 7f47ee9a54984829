#include "base/core/temporary_name.h"

#include "base/core/atomic_folder.h"
#include "base/core/file_io.h"
#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"

#include <csignal>
#include <memory>

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ddpm_eval::core {
namespace {

namespace fs = std::filesystem;
using testing::TempDir;

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// Does `work` in a process of its own, which then dies as by SIGKILL.
template <class Work>
void killed_after(const Work& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    work();
    ::raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
}

TEST(TemporaryName, WhatAKilledWriterLeftIsRemovedByTheNextOfTheSameTarget) {
  const TempDir dir;
  const auto target = dir / "out.npz";
  killed_after([&] {
    auto* file = new AtomicFile(target);
    file->write("half");
  });
  EXPECT_THAT(names_in(dir.path()), ::testing::ElementsAre("out.npz.tmp-0"));
  write_file(dir / "other", "x");
  EXPECT_THAT(names_in(dir.path()), ::testing::ElementsAre("other", "out.npz.tmp-0"));
  write_file(target, "whole");
  EXPECT_THAT(names_in(dir.path()), ::testing::ElementsAre("other", "out.npz"));
  EXPECT_EQ(read_text(target), "whole");
}

TEST(TemporaryName, AKilledWritersFolderIsRemovedToo) {
  const TempDir dir;
  killed_after([&] {
    auto* folder = new AtomicFolder(dir / "model");
    write_file(folder->path() / "weights", "half");
  });
  EXPECT_THAT(names_in(dir.path()), ::testing::ElementsAre("model.tmp-0"));
  AtomicFolder folder(dir / "model");
  EXPECT_TRUE(fs::is_empty(folder.path()));
  folder.commit();
  EXPECT_THAT(names_in(dir.path()), ::testing::ElementsAre("model"));
}

TEST(TemporaryName, TwoLiveWritersDoNotMeet) {
  const TempDir dir;
  const auto target = dir / "out.npz";
  AtomicFile first(target);
  first.write("first");
  {
    AtomicFile second(target);
    second.write("second");
    EXPECT_THAT(names_in(dir.path()), ::testing::ElementsAre("out.npz.tmp-0", "out.npz.tmp-1"));
    second.commit();
  }
  EXPECT_EQ(read_text(target), "second");
  first.commit();
  EXPECT_EQ(read_text(target), "first");
  EXPECT_THAT(names_in(dir.path()), ::testing::ElementsAre("out.npz"));
}

TEST(TemporaryName, ALinkThatLiesInItsPlaceIsLeftAlone) {
  const TempDir dir;
  write_file(dir / "precious", "kept");
  fs::create_symlink(dir / "precious", dir / "out.tmp-0");
  write_file(dir / "out", "new");
  EXPECT_EQ(read_text(dir / "precious"), "kept");
  EXPECT_EQ(read_text(dir / "out"), "new");
}

TEST(TemporaryName, ManyWritersOfOneTargetEndWithOneOfTheirFiles) {
  const TempDir dir;
  const auto target = dir / "out";
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    children.push_back(::fork());
    if (children.back() == 0) {
      bool good = true;
      for (int n = 0; n < 200; ++n) {
        try {
          AtomicFile file(target);
          file.write(std::string(100, static_cast<char>('a' + i)));
          file.commit(Durability::kLater);
        } catch (const std::exception&) {
          good = false;
        }
      }
      ::_exit(good ? 0 : 1);
    }
  }
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  const std::string text = read_text(target);
  EXPECT_EQ(text, std::string(100, text.at(0)));
  EXPECT_THAT(names_in(dir.path()), ::testing::ElementsAre("out"));
}

}  // namespace
}  // namespace ddpm_eval::core
