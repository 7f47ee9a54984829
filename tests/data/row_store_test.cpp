#include "base/data/row_store.h"

#include "base/core/error.h"
#include "tests/support/errors.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tensor_matchers.h"

#include <array>
#include <filesystem>
#include <utility>

namespace ddpm_eval::data {
namespace {

using ::testing::HasSubstr;
using testing::message_of;
using testing::TempDir;
using testing::TensorEq;

constexpr int64_t kColumns = 5;

at::Tensor numbered_rows(int64_t begin, int64_t count) {
  return torch::arange(begin * kColumns, (begin + count) * kColumns, at::kFloat).view({count, kColumns});
}

/// Rows 0 to 29 in batches of 1 to 4, of which 7 fit in memory.
RowStore thirty_rows(const std::filesystem::path& folder) {
  RowStore store(7 * kColumns * 4, folder);
  for (int64_t begin = 0, batch = 1; begin < 30; begin += batch, batch = batch % 4 + 1) {
    store.add(numbered_rows(begin, std::min<int64_t>(batch, 30 - begin)));
  }
  return store;
}

TEST(RowStore, GivesRowsFromFileAndMemoryInOrder) {
  const TempDir folder;
  const auto store = thirty_rows(folder.path());
  EXPECT_EQ(store.count(), 30);
  EXPECT_EQ(store.columns(), kColumns);
  EXPECT_THAT(store.read_all(), TensorEq(numbered_rows(0, 30)));
  for (int64_t begin = 0; begin < 30; ++begin) {
    EXPECT_THAT(store.read(begin, 30 - begin), TensorEq(numbered_rows(begin, 30 - begin))) << begin;
    EXPECT_THAT(store.read(0, begin), TensorEq(numbered_rows(0, begin))) << begin;
  }
  const std::array<int64_t, 4> wanted = {29, 0, 17, 17};
  EXPECT_THAT(store.gather(wanted), TensorEq(torch::cat({numbered_rows(29, 1), numbered_rows(0, 1),
                                                         numbered_rows(17, 1), numbered_rows(17, 1)})));
}

TEST(RowStore, KeepsACopyOfWhatItIsGiven) {
  RowStore store;
  auto rows = numbered_rows(0, 3);
  store.add(rows);
  rows.zero_();
  EXPECT_THAT(store.read_all(), TensorEq(numbered_rows(0, 3)));
}

TEST(RowStore, LeavesNoFileBehindAndMakesNoneForAFew) {
  const TempDir folder;
  {
    const auto store = thirty_rows(folder.path());
    EXPECT_TRUE(std::filesystem::is_empty(folder.path()));  // without a name from the start
  }
  RowStore few(1 << 20, folder.path() / "missing");
  few.add(numbered_rows(0, 30));
  EXPECT_THAT(few.read_all(), TensorEq(numbered_rows(0, 30)));
}

TEST(RowStore, MovesWithItsFile) {
  const TempDir folder;
  auto store = thirty_rows(folder.path());
  RowStore other = std::move(store);
  store = {};
  EXPECT_THAT(other.read_all(), TensorEq(numbered_rows(0, 30)));
}

TEST(RowStore, AFullDiskAndAMissingFolderAreNamed) {
  const TempDir folder;
  EXPECT_THAT(message_of<core::ResourceError>([&] { thirty_rows(folder.path() / "missing"); }),
              HasSubstr((folder.path() / "missing").string() + ": a temporary file"));
  const testing::FileSizeLimit limit(200);
  EXPECT_THAT(message_of<core::ResourceError>([&] { thirty_rows(folder.path()); }),
              HasSubstr("cannot be written: File too large; set TMPDIR to a folder with room"));
}

TEST(RowStore, OtherRowsAreRefused) {
  RowStore store;
  store.add(numbered_rows(0, 2));
  EXPECT_THROW(store.add(torch::zeros({2, kColumns + 1})), core::LogicError);
  EXPECT_THROW(store.add(torch::zeros({2, kColumns}, at::kDouble)), core::LogicError);
  EXPECT_THROW(store.read(1, 2), core::LogicError);
}

}  // namespace
}  // namespace ddpm_eval::data
