#include "base/data/npz.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/data/zip_writer.h"
#include "tests/support/errors.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tensor_matchers.h"

namespace ddpm_eval::data {
namespace {

using core::DataError;
using core::ResourceError;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::message_of;
using testing::TensorEq;

TEST(Npz, WhatIsWrittenIsRead) {
  const testing::TempDir dir;
  const at::Tensor mu = torch::rand({5}, torch::kFloat64);
  const at::Tensor images = torch::arange(24).reshape({2, 2, 2, 3}).to(torch::kUInt8);
  write_npz(dir / "a.npz", {{"mu", mu}, {"arr_0", images}}, {{"provenance.json", "{}"}});
  const NpzReader archive(dir / "a.npz");
  EXPECT_THAT(archive.names(), ElementsAre("mu", "arr_0"));
  EXPECT_THAT(archive.read("mu"), TensorEq(mu));
  EXPECT_THAT(archive.read("arr_0"), TensorEq(images));
  EXPECT_EQ(archive.read_text("provenance.json"), "{}");
  EXPECT_EQ(archive.read_text("none.json"), "");
  EXPECT_THAT(message_of<DataError>([&] { archive.read("sigma"); }),
              HasSubstr("has no array 'sigma'; it holds mu or arr_0"));
  EXPECT_THAT(message_of<DataError>([&] { archive.read("mu", 100); }), HasSubstr("more than the 100"));
}

TEST(Npz, EqualContentsGiveEqualBytes) {
  const testing::TempDir dir;
  const at::Tensor x = torch::rand({7});
  write_npz(dir / "a.npz", {{"x", x}});
  write_npz(dir / "b.npz", {{"x", x}});
  EXPECT_EQ(core::read_text(dir / "a.npz"), core::read_text(dir / "b.npz"));
}

TEST(Npz, APrefixWrittenLastHasTheRightCrc) {
  const testing::TempDir dir;
  ZipWriter zip(dir / "a.zip");
  zip.begin("provenance.json", "????");
  zip.write("wxyz", 4);
  zip.write("!", 1);
  zip.end("abcd");
  zip.commit();
  EXPECT_EQ(NpzReader(dir / "a.zip").read_text("provenance.json"), "abcdwxyz!");
}

TEST(Npz, ReadsNumpysStoredAndDeflatedArchives) {
  // tools/golden/make_npz.py: numpy.savez and numpy.savez_compressed of the same two arrays.
  for (const auto* name : {"numpy_stored.npz", "numpy_deflated.npz"}) {
    const NpzReader archive(testing::source_dir() / "tests/golden" / name);
    EXPECT_THAT(archive.names(), ElementsAre("mu", "sigma"));
    EXPECT_THAT(archive.read("mu"), TensorEq(torch::arange(4, torch::kFloat32) / 4));
    EXPECT_THAT(archive.read("sigma"), TensorEq(torch::eye(4, torch::kFloat64) * 2 + 1));
  }
}

TEST(Npz, CutAnywhereIsADataError) {
  const testing::TempDir dir;
  for (const auto* name : {"numpy_stored.npz", "numpy_deflated.npz"}) {
    const std::string whole = core::read_text(testing::source_dir() / "tests/golden" / name);
    for (size_t length = 0; length < whole.size(); length += 7) {
      testing::put_file(dir / "cut.npz", std::string_view(whole).substr(0, length));
      message_of<DataError>([&] { NpzReader(dir / "cut.npz").read("sigma"); });
    }
  }
}

TEST(Npz, AFlippedByteIsNeverAWrongArray) {
  const testing::TempDir dir;
  const std::string whole = core::read_text(testing::source_dir() / "tests/golden/numpy_deflated.npz");
  const at::Tensor want = torch::eye(4, torch::kFloat64) * 2 + 1;
  int refused = 0;
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x55);
    testing::put_file(dir / "bad.npz", damaged);
    try {
      // Bytes that do not matter, such as dates, may be anything.
      EXPECT_THAT(NpzReader(dir / "bad.npz").read("sigma"), TensorEq(want)) << at;
    } catch (const DataError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 100);
}

TEST(Npz, StatedSizesBeyondTheFileAreRefused) {
  const testing::TempDir dir;
  write_npz(dir / "a.npz", {{"x", torch::rand({7})}});
  std::string whole = core::read_text(dir / "a.npz");
  const size_t central = whole.find("PK\x01\x02");
  for (const size_t field : {20, 24}) {  // compressed and uncompressed size
    std::string damaged = whole;
    damaged.replace(central + field, 4, "\x00\x00\x00\x70", 4);
    testing::put_file(dir / "bad.npz", damaged);
    message_of<DataError>([&] { NpzReader(dir / "bad.npz").read("x"); });
  }
}

TEST(Npz, OtherFilesAreNamed) {
  const testing::TempDir dir;
  testing::put_file(dir / "text.npz", "no zip at all");
  EXPECT_THAT(message_of<DataError>([&] { NpzReader(dir / "text.npz"); }),
              HasSubstr("not a readable .npz archive"));
  EXPECT_THAT(message_of<DataError>([&] { NpzReader(dir / "none.npz"); }), HasSubstr("No such file"));
  EXPECT_THAT(message_of<DataError>([&] { NpzReader(dir.path()); }), HasSubstr("is not a file"));
}

TEST(Npz, AFullDiskLeavesNothingBehind) {
  const testing::TempDir dir;
  const at::Tensor large = torch::zeros({1 << 16});
  std::string message;
  {
    const testing::FileSizeLimit limit(100'000);
    message = message_of<ResourceError>([&] { write_npz(dir / "a.npz", {{"x", large}}); });
  }
  EXPECT_THAT(message, HasSubstr("a.npz: write failed"));
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
  EXPECT_THAT(message_of<ResourceError>([&] {
                write_npz(dir / "no/a.npz", {{"x", large}});
              }),
              HasSubstr("no/a.npz: cannot be written"));
}

}  // namespace
}  // namespace ddpm_eval::data
