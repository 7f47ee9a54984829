#include "base/data/image_zip.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/data/image_codec.h"
#include "base/data/image_folder.h"
#include "base/data/source_spec.h"
#include "tests/support/archived_images.h"
#include "tests/support/archives.h"
#include "tests/support/errors.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tensor_matchers.h"

#include <string>
#include <vector>

#include <torch/types.h>

namespace ddpm_eval::data {
namespace {

using core::DataError;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using testing::first_pixels;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::message_of;
using ::testing::Not;
using testing::png_of;
using testing::png_of_value;
using testing::TensorEq;

using Members = std::vector<testing::ArchiveEntry>;

class ImageZip : public ::testing::Test {
 protected:
  std::string write_zip(const std::string& name, const Members& members,
                        const char* options = "compression=store", const char* password = nullptr) {
    const auto path = dir_ / name;
    testing::write_archive(path, members, options, password);
    return path.string();
  }

  testing::TempDir dir_;
};

TEST_F(ImageZip, GivesItsImagesSortedByNameStoredOrDeflated) {
  const Members members = {{"b.png", png_of_value(3)},
                           {"dataset.json", R"({"labels": [["b.png", 1]]})"},
                           {"a/z.PNG", png_of_value(2)},
                           {"__MACOSX/._b.png", "resource fork"},
                           {"a/__MACOSX/._z.PNG", "resource fork"},
                           {"a.png", png_of_value(1)}};
  for (const char* options : {"compression=store", "compression=deflate"}) {
    const auto path = write_zip("images.zip", members, options);
    const auto source = open_image_zip(path, {.threads = 3});
    EXPECT_EQ(source->name(), path);
    EXPECT_EQ(source->size(), 3);
    EXPECT_THAT(first_pixels(*source), ElementsAre(1, 2, 3)) << options;
    EXPECT_THAT(source->report().unreadable, IsEmpty());
  }
}

TEST_F(ImageZip, ManyImagesOnManyThreadsAreThoseOfAFolder) {
  Members members;
  std::filesystem::create_directory(dir_ / "folder");
  for (int i = 0; i < 200; ++i) {
    const auto name = fmt::format("{:03}.png", i);
    members.push_back({name, png_of(torch::randint(0, 256, {3, 5, 6}, torch::kUInt8))});
    testing::put_file(dir_ / "folder" / name, members.back().content);
  }
  const auto zipped = open_image_zip(write_zip("images.zip", members, "compression=deflate"), {.threads = 8});
  const auto folder = open_image_folder(dir_ / "folder");
  EXPECT_THAT(zipped->next(1000), TensorEq(folder->next(1000)));
}

TEST_F(ImageZip, NamesAreThoseOfTheFolderWhateverTheirBytes) {
  // Latin-1, CP437, control characters and UTF-8: converted to UTF-8 they would sort otherwise.
  const std::vector<std::string> names = {"\xe9.png",     "\x81.png",     "z.png",
                                          "\xc3\xa9.png", "\xff\x01.png", "a\x1b.png"};
  Members members;
  std::filesystem::create_directory(dir_ / "folder");
  for (size_t i = 0; i < names.size(); ++i) {
    members.push_back({names[i], png_of_value(static_cast<int>(i))});
    testing::put_file(dir_ / "folder" / names[i], members.back().content);
  }
  const auto path = write_zip("images.zip", members);
  for (const Subset subset : {Subset{}, Subset{.first = 2, .count = 3}, Subset{.draw = Draw{3, 1}}}) {
    const auto folder = open_image_folder(dir_ / "folder", {.subset = subset});
    EXPECT_EQ(first_pixels(*open_image_zip(path, {.subset = subset})), first_pixels(*folder));
  }
}

TEST_F(ImageZip, AMemberTwiceIsRefused) {
  const auto path =
      write_zip("images.zip", {{"1.png", png_of_value(1)}, {"2.png", png_of_value(2)}, {"1.png", "?"}});
  EXPECT_THAT(message_of<DataError>([&] { open_image_zip(path); }),
              HasSubstr("images.zip: '1.png' is in it twice"));
}

TEST_F(ImageZip, WhatIsEncryptedOrCompressedOtherwiseIsToldSo) {
  const auto refused = [](const std::string& path, const std::string& reason) {
    const auto source = open_image_zip(path);
    EXPECT_THAT(message_of<DataError>([&] { first_pixels(*source); }), HasSubstr("1.png: " + reason));
  };
  refused(write_zip("secret.zip", {{"1.png", png_of_value(1)}}, "compression=store", "word"),
          "is encrypted, and encrypted archives are not read");
  // The method stands at byte 8 of the member's header and at byte 10 of its entry in the directory.
  auto bytes = core::read_text(write_zip("images.zip", {{"1.png", png_of_value(1)}}));
  bytes[bytes.find("PK\x03\x04") + 8] = 14;
  bytes[bytes.find("PK\x01\x02") + 10] = 14;
  core::write_file(dir_ / "lzma.zip", bytes);
  refused((dir_ / "lzma.zip").string(), "is compressed by zip's method 14; only stored and deflated");
}

TEST_F(ImageZip, DamageIsListedByMember) {
  auto path =
      write_zip("images.zip", {{"1.png", png_of_value(1)}, {"2.png", png_of_value(2)}, {"3.png", "text"}});
  // In the stored bytes of the first, before the archive's directory.
  auto bytes = core::read_text(path);
  bytes[bytes.find("IDAT") + 6] ^= 1;
  core::write_file(path, bytes);
  const auto source = open_image_zip(path);
  EXPECT_THAT(first_pixels(*source), ElementsAre(2));
  EXPECT_THAT(source->report().unreadable, ElementsAre(HasSubstr("images.zip: 1.png: the archive is damaged"),
                                                       HasSubstr("images.zip: 3.png: not a PNG")));
  const auto strict = open_image_zip(path, {.on_bad_file = OnBadFile::kFail});
  EXPECT_THAT(message_of<DataError>([&] { first_pixels(*strict); }),
              HasSubstr("1.png: the archive is damaged"));
}

TEST_F(ImageZip, WhatIsNoArchiveOfImagesIsRefused) {
  const auto path = write_zip("images.zip", {{"1.png", png_of_value(1)}});
  const auto bytes = core::read_text(path);
  core::write_file(dir_ / "cut.zip", bytes.substr(0, bytes.size() - 30));
  EXPECT_THAT(message_of<DataError>([&] { open_image_zip(dir_ / "cut.zip"); }),
              AllOf(HasSubstr("cut.zip: is not a readable .zip archive"), EndsWith("; it may be cut short")));
  // A name that is said to be UTF-8 and is not: the flag stands at byte 8 of the entry in the directory.
  auto flagged = core::read_text(write_zip("images.zip", {{"\xe9.png", png_of_value(1)}}));
  flagged[flagged.find("PK\x01\x02") + 9] |= 0x08;
  flagged[flagged.find("PK\x03\x04") + 7] |= 0x08;
  core::write_file(dir_ / "flagged.zip", flagged);
  EXPECT_THAT(message_of<DataError>([&] { open_image_zip(dir_ / "flagged.zip"); }),
              AllOf(HasSubstr("flagged.zip: is not a readable .zip archive"), Not(HasSubstr("cut short"))));
  EXPECT_THAT(message_of<DataError>([&] {
                open_image_zip(write_zip("text.zip", {{"a.txt", "x"}}));
              }),
              HasSubstr("text.zip: no image files in it; looked for png, jpg"));
  EXPECT_THAT(message_of<DataError>([&] { open_image_zip(dir_ / "none.zip"); }), HasSubstr("none.zip"));
}

TEST_F(ImageZip, AProgramBeforeTheArchiveIsPassedOver) {
  const Members members = {{"1.png", png_of_value(1)}, {"2.png", png_of_value(2)}};
  const auto bytes = core::read_text(write_zip("images.zip", members, "compression=deflate"));
  core::write_file(dir_ / "sfx.zip", "#!/bin/sh\nexec unpack PK\x03\x04\n" + bytes);
  EXPECT_THAT(first_pixels(*open_image_zip(dir_ / "sfx.zip")), ElementsAre(1, 2));
}

// Refused by the size that it states, before memory is taken.
TEST_F(ImageZip, AMemberThatIsLargerThanImagesAreIsListed) {
  const at::Tensor noise = torch::randint(0, 256, {300'000}, torch::kUInt8);
  const std::string content(static_cast<const char*>(noise.data_ptr()), 300'000);
  const auto path =
      write_zip("bomb.zip", {{"1.png", png_of_value(1)}, {"2.png", content}}, "compression=deflate");
  // The size unpacked stands at byte 24 of the member's entry in the directory, the last one.
  auto bytes = core::read_text(path);
  bytes.replace(bytes.rfind("PK\x01\x02") + 24, 4, std::string("\x01\x00\x00\x10", 4));
  core::write_file(path, bytes);
  const auto source = open_image_zip(path);
  EXPECT_THAT(first_pixels(*source), ElementsAre(1));
  EXPECT_THAT(source->report().unreadable,
              ElementsAre(HasSubstr("2.png: 268435457 bytes unpacked, where 268435456 are the most")));
}

TEST_F(ImageZip, IsASourceWithPartsAndFraming) {
  const at::Tensor images = torch::randint(0, 256, {4, 3, 6, 8}, torch::kUInt8);
  Members members;
  for (int i = 0; i < 4; ++i) {
    members.push_back({fmt::format("{}.png", i), png_of(images[i])});
  }
  const auto path = write_zip("images.zip", members);
  testing::expect_source_of(path, SourceKind::kZip, images);
  EXPECT_EQ(parse_source(write_zip("IMAGES.ZIP", members)).kind, SourceKind::kZip);
  EXPECT_THAT(message_of<DataError>([&] { parse_source("none.zip"); }), HasSubstr("none.zip: no such file"));
}

}  // namespace
}  // namespace ddpm_eval::data
