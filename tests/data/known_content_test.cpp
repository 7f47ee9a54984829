#include "base/data/known_content.h"

#include "base/core/file_io.h"
#include "tests/support/archives.h"
#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"

#include <gmock/gmock.h>

namespace ddpm_eval::data {
namespace {

using core::DataError;
using testing::ArchiveEntry;
using ::testing::HasSubstr;
using testing::message_of;
using testing::TempDir;
using testing::write_archive;

constexpr Cifar10Layout kSmall{.records = 20};
constexpr size_t kBatchBytes = 20 * kCifar10Record;

/// Twenty records whose labels go round, of one colour.
std::string batch(char pixel = 7) {
  std::string bytes;
  for (int i = 0; i < 20; ++i) {
    bytes += static_cast<char>(i % 10) + std::string(3072, pixel);
  }
  return bytes;
}

void write_batches(const std::filesystem::path& folder) {
  for (const auto& member : cifar10_members(kSmall)) {
    if (member.required) {
      core::write_file(folder / member.name, batch());
    }
  }
}

std::string cifar_error(const std::filesystem::path& folder) {
  return message_of<DataError>([&] { verify_cifar10(folder, kSmall); });
}

TEST(KnownContent, Cifar10IsJudgedByItsRecords) {
  const TempDir dir;
  write_batches(dir.path());
  EXPECT_THAT(verify_cifar10(dir.path(), kSmall), HasSubstr("not the official pixels"));

  core::write_file(dir / "data_batch_3.bin", batch().substr(0, kBatchBytes - 1));
  EXPECT_THAT(cifar_error(dir.path()),
              HasSubstr("data_batch_3.bin: 61459 bytes are no whole number of records of 3073"));
  core::write_file(dir / "data_batch_3.bin", batch() + batch().substr(0, 3073));
  EXPECT_THAT(cifar_error(dir.path()), HasSubstr("data_batch_3.bin: 21 records where 20 are expected"));

  auto labels = batch();
  labels[3073] = 10;
  core::write_file(dir / "data_batch_3.bin", labels);
  EXPECT_THAT(cifar_error(dir.path()),
              HasSubstr("data_batch_3.bin: label 10 in record 1, where 0 to 9 are possible"));
  labels[3073] = 9;
  core::write_file(dir / "data_batch_3.bin", labels);
  EXPECT_THAT(cifar_error(dir.path()), HasSubstr("class 1 has 9 training images where CIFAR-10 has 10"));

  core::write_file(dir / "data_batch_3.bin", batch());
  std::filesystem::remove(dir / "test_batch.bin");
  EXPECT_THAT(cifar_error(dir.path()), HasSubstr("test_batch.bin: is missing"));
}

IdxFile labels_of(int64_t count) { return {"l-idx1-ubyte", Split::kTest, IdxKind::kLabels, count, ""}; }

TEST(KnownContent, IdxFilesAreJudgedByHeaderAndLength) {
  const TempDir dir;
  const auto check = [&](const std::string& bytes, const IdxFile& file) {
    core::write_file(dir / "f", bytes);
    return verify_idx(dir / "f", file);
  };
  const auto error = [&](const std::string& bytes, const IdxFile& file) {
    return message_of<DataError>([&] { check(bytes, file); });
  };
  const std::string head("\0\0\x08\x01\0\0\0\x03", 8);
  const std::string good = head + std::string("\x01\x09\x00", 3);
  EXPECT_EQ(check(good, labels_of(3)),  // sha256sum's
            "9015e5bc246ee7c7efaf437ac273535a6e34b012ee15e4484a6f558d87df2d1c");
  EXPECT_THAT(error(good.substr(0, 5), labels_of(3)), HasSubstr("f: is cut short: 3 more bytes are needed"));
  EXPECT_THAT(error(good.substr(0, 10), labels_of(3)), HasSubstr("f: is cut short: 1 more bytes are needed"));
  EXPECT_THAT(error(good + "x", labels_of(3)), HasSubstr("holds more bytes than its header says"));
  EXPECT_THAT(error(good, labels_of(4)), HasSubstr("3 entries where 4 are expected"));
  EXPECT_THAT(error(head + "\x01\x02\x0a", labels_of(3)),
              HasSubstr("a label of 10, where 0 to 9 are possible"));
  EXPECT_THAT(error(good, {"i", Split::kTest, IdxKind::kImages, 3, ""}), HasSubstr("begins with 0x801"));
  const std::string image_head("\0\0\x08\x03\0\0\0\x01\0\0\0\x1c\0\0\0\x1c", 16);
  EXPECT_NO_THROW(check(image_head + std::string(784, '\xff'), {"i", Split::kTest, IdxKind::kImages, 1, ""}));
  EXPECT_THAT(error(image_head + std::string(784, 'x'), labels_of(1)),
              HasSubstr("an IDX file of labels has 0x801"));
  auto narrow = image_head;
  narrow[15] = 27;
  EXPECT_THAT(error(narrow + std::string(784, 'x'), {"i", Split::kTest, IdxKind::kImages, 1, ""}),
              HasSubstr("images of 27 x 28 pixels"));
}

TEST(KnownContent, DebiansFashionMnistIsOfficialAndItsCutsAreNoticed) {
  const std::filesystem::path folder = "/usr/share/datasets/fashion-mnist";
  const IdxFile& labels = fashion_mnist_files()[3];
  const auto path = find_idx(folder, labels);
  if (path.empty()) {
    GTEST_SKIP() << "dataset-fashion-mnist is not installed";
  }
  EXPECT_EQ(verify_idx(path, labels), labels.sha256);
  const IdxFile& images = fashion_mnist_files()[2];
  EXPECT_EQ(verify_idx(find_idx(folder, images), images), images.sha256);

  const TempDir dir;
  const auto bytes = core::read_text(path);
  for (const size_t length : {bytes.size() - 1, bytes.size() - 8, bytes.size() / 2, size_t{12}}) {
    core::write_file(dir / "cut.gz", bytes.substr(0, length));
    message_of<DataError>([&] { verify_idx(dir / "cut.gz", labels); });
  }
  auto wrong = bytes;
  wrong[wrong.size() - 6] = static_cast<char>(wrong[wrong.size() - 6] ^ 1);  // the checksum itself
  core::write_file(dir / "cut.gz", wrong);
  EXPECT_THAT(message_of<DataError>([&] { verify_idx(dir / "cut.gz", labels); }),
              HasSubstr("incorrect data check"));
}

const std::vector<ArchiveMember> kWanted = {{"a.bin", 5, 5}, {"b.bin", 1, 100}, {"c.txt", 0, 10, false}};

std::string unpack_error(const std::vector<ArchiveEntry>& entries) {
  const TempDir dir;
  write_archive(dir / "t.tar.gz", entries);
  return message_of<DataError>([&] { unpack_members(dir / "t.tar.gz", kWanted, dir.path()); });
}

TEST(Archive, UnpacksWhatIsWantedAndNothingElse) {
  const TempDir dir;
  core::make_folders(dir / "out");
  write_archive(dir / "t.tar.gz",
                {{"top/readme.html", "hello"}, {"./top/a.bin", "12345"}, {"../../b.bin", "bb"}});
  unpack_members(dir / "t.tar.gz", kWanted, dir / "out");
  EXPECT_EQ(core::read_text(dir / "out/a.bin"), "12345");
  EXPECT_EQ(core::read_text(dir / "out/b.bin"), "bb");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir / "out"), {}), 2);
}

TEST(Archive, RefusesWhatDoesNotFit) {
  EXPECT_THAT(unpack_error({{"a.bin", "12345"}}), HasSubstr("'b.bin' is missing from it"));
  EXPECT_THAT(unpack_error({{"a.bin", "1234"}}), HasSubstr("'a.bin' in it has 4 bytes where 5 are expected"));
  EXPECT_THAT(unpack_error({{"x/a.bin", "12345"}, {"y/a.bin", "12345"}}), HasSubstr("'a.bin' occurs twice"));
  EXPECT_THAT(unpack_error({{"a.bin", "", AE_IFLNK}}), HasSubstr("'a.bin' in it is not a plain file"));
}

TEST(Archive, DamageIsNoticed) {
  const TempDir dir;
  std::string noise(3000, '\0');
  for (size_t i = 0; i < noise.size(); ++i) {
    noise[i] = static_cast<char>(i * i * 31 >> 3);
  }
  const auto path = dir / "t.tar.gz";
  write_archive(path, {{"a.bin", "12345"}, {"b.bin", "bb"}, {"other", noise}});
  const auto bytes = core::read_text(path);
  for (size_t length = 0; length < bytes.size(); length += 97) {
    core::write_file(path, bytes.substr(0, length));
    message_of<DataError>([&] { unpack_members(path, kWanted, dir.path()); });
  }
  auto wrong = bytes;
  wrong[wrong.size() - 5] = static_cast<char>(wrong[wrong.size() - 5] ^ 1);
  core::write_file(path, wrong);
  EXPECT_THAT(message_of<DataError>([&] { unpack_members(path, kWanted, dir.path()); }),
              HasSubstr("incorrect data check"));
}

}  // namespace
}  // namespace ddpm_eval::data
