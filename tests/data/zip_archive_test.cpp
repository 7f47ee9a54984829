#include "base/data/zip_archive.h"

#include "base/core/error.h"
#include "tests/support/errors.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"

#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <zlib.h>

namespace ddpm_eval::data {
namespace {

using core::DataError;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::message_of;
using ::testing::Not;

using Contents = std::vector<std::pair<std::string, std::string>>;

std::string little_endian(uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) {
    text.push_back(static_cast<char>(value >> 8 * i & 0xff));
  }
  return text;
}

struct Layout {
  uint64_t before = 0;  ///< bytes before the archive that its offsets count
  bool zip64 = false;
  std::string comment{};
};

/// An archive of stored members, by PKWARE's APPNOTE.
std::string zip_of(const Contents& members, const Layout& layout = {}) {
  std::string bytes, directory;
  for (const auto& [name, content] : members) {
    const auto common =
        little_endian(0, 2) + little_endian(0, 2) + little_endian(0, 4) +  // flags, method, time
        little_endian(
            ::crc32(0, reinterpret_cast<const Bytef*>(content.data()), static_cast<uInt>(content.size())),
            4) +
        little_endian(content.size(), 4) + little_endian(content.size(), 4) + little_endian(name.size(), 2) +
        little_endian(0, 2);
    directory += "PK\x01\x02" + little_endian(20, 2) + little_endian(20, 2) + common + std::string(10, '\0') +
                 little_endian(layout.before + bytes.size(), 4) + name;
    bytes += "PK\x03\x04" + little_endian(20, 2) + common + name + content;
  }
  const uint64_t begin = layout.before + bytes.size(), count = members.size();
  bytes += directory;
  if (layout.zip64) {
    const uint64_t record = layout.before + bytes.size();
    bytes += "PK\x06\x06" + little_endian(44, 8) + little_endian(45, 2) + little_endian(45, 2) +
             std::string(8, '\0') + little_endian(count, 8) + little_endian(count, 8) +
             little_endian(directory.size(), 8) + little_endian(begin, 8);
    bytes += "PK\x06\x07" + std::string(4, '\0') + little_endian(record, 8) + little_endian(1, 4);
  }
  const auto or_none = [&](uint64_t value, int width) {
    return layout.zip64 ? std::string(static_cast<size_t>(width), '\xff') : little_endian(value, width);
  };
  return bytes + "PK\x05\x06" + std::string(4, '\0') + or_none(count, 2) + or_none(count, 2) +
         or_none(directory.size(), 4) + or_none(begin, 4) + little_endian(layout.comment.size(), 2) +
         layout.comment;
}

const Contents kFirst = {{"1.png", "first"}, {"both.png", "old"}};
const Contents kLast = {{"2.png", "last"}, {"both.png", "new"}};

class ZipFile : public ::testing::Test {
 protected:
  Contents read(const std::string& bytes) {
    const auto path = dir_ / "it.zip";
    testing::put_file(path, bytes);
    const ZipArchive archive(path, ".zip archive");
    Contents contents;
    for (uint64_t i = 0; i < archive.names().size(); ++i) {
      const auto stream = archive.open(i);
      std::string content(stream->remaining(), '\0');
      stream->read(content.data(), content.size());
      contents.emplace_back(archive.names()[i], content);
    }
    return contents;
  }
  std::string error(const std::string& bytes) {
    return message_of<DataError>([&] { read(bytes); });
  }
  testing::TempDir dir_;
};

TEST_F(ZipFile, OfArchivesInARowTheLastCounts) {
  for (const bool zip64 : {false, true}) {
    const auto first = zip_of(kFirst, {.zip64 = zip64});
    EXPECT_EQ(read(first), kFirst);
    EXPECT_EQ(read(first + zip_of(kLast, {.zip64 = zip64})), kLast) << zip64;
    EXPECT_EQ(read(first + zip_of(kLast, {.before = first.size(), .zip64 = zip64})), kLast) << zip64;
    EXPECT_THAT(read(first + zip_of({}, {.zip64 = zip64})), IsEmpty()) << zip64;
  }
}

TEST_F(ZipFile, WhatStandsBeforeAnArchiveIsPassedOver) {
  for (const auto& before : {zip_of({}), std::string("#!/bin/sh\nexec unpack\nPK\x03\x04 PK\x05\x06\n")}) {
    for (const bool zip64 : {false, true}) {
      EXPECT_EQ(read(before + zip_of(kLast, {.zip64 = zip64})), kLast);
      EXPECT_EQ(read(before + zip_of(kLast, {.before = before.size(), .zip64 = zip64})), kLast);
    }
  }
}

TEST_F(ZipFile, AnEndRecordInACommentOrAMemberIsNone) {
  EXPECT_EQ(read(zip_of(kFirst, {.comment = "was " + zip_of(kLast) + "."})), kLast)
      << "with a directory it is one, as for zipfile";
  EXPECT_EQ(read(zip_of(kFirst, {.comment = "PK\x05\x06 and so on"})), kFirst);
  EXPECT_EQ(read(zip_of(kFirst, {.comment = "of PK\x05\x06, a mark that end records have"})), kFirst);
  const Contents nested = {{"old.zip", zip_of(kFirst)}, {"mark.txt", "PK\x05\x06"}};
  EXPECT_EQ(read(zip_of(nested)), nested);
}

TEST_F(ZipFile, BytesBehindAnArchiveArePassedOver) {
  EXPECT_EQ(read(zip_of(kFirst) + "and more"), kFirst);
  EXPECT_EQ(read(zip_of(kFirst, {.zip64 = true}) + std::string(1000, '\n')), kFirst);
}

TEST_F(ZipFile, ALastArchiveThatIsDamagedIsNotReplacedByTheFirst) {
  auto last = zip_of(kLast);
  last[last.find("PK\x01\x02")] = '?';
  EXPECT_THAT(
      error(zip_of(kFirst) + last),
      HasSubstr("it.zip: is not a readable .zip archive (its directory is not what its end record says)"));
}

TEST_F(ZipFile, ADamagedEndOfZip64IsToldAsSuch) {
  const auto whole = zip_of(kFirst, {.zip64 = true});
  const auto with = [&](size_t at, const std::string& bytes) {
    auto damaged = whole;
    return damaged.replace(at, bytes.size(), bytes);
  };
  const size_t record = whole.find("PK\x06\x06"), locator = whole.find("PK\x06\x07");
  const auto beyond = little_endian(uint64_t{1} << 40, 8), huge = std::string(8, '\xff');
  EXPECT_THAT(error(with(record, "?")), HasSubstr("(its zip64 end record is not where its locator says)"));
  for (const auto& number : {beyond, huge, little_endian(0, 8), little_endian(7, 8)}) {
    EXPECT_THAT(error(with(record + 40, number)),
                HasSubstr("(its directory is not what its end record says)"));
  }
  for (const auto& number : {beyond, huge}) {
    EXPECT_THAT(error(with(record + 48, number)),
                HasSubstr("(its directory is not what its end record says)"));
    EXPECT_THAT(error(with(record + 32, number)),
                AllOf(HasSubstr("it.zip: is not a readable .zip archive"), Not(HasSubstr("No such file"))));
  }
  EXPECT_THAT(error(with(locator, "?")),
              AllOf(HasSubstr("it.zip: is not a readable .zip archive"), Not(HasSubstr("No such file"))));
  EXPECT_EQ(read(with(locator + 16, little_endian(1, 4))), kFirst) << "nothing is changed";
}

TEST_F(ZipFile, WhatIsNoArchiveIsRefused) {
  for (const auto& bytes : {std::string(), std::string("text"), zip_of(kFirst).substr(0, 100),
                            zip_of(kFirst) + std::string(70'000, '.')}) {
    EXPECT_THAT(error(bytes),
                HasSubstr("it.zip: is not a readable .zip archive (it has no end record); it may be "
                          "cut short"));
  }
  EXPECT_THAT(error(std::string("PK\x05\x06")), HasSubstr("(its end record is cut short)"));
}

}  // namespace
}  // namespace ddpm_eval::data
