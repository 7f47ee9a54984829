#include "base/data/image_tar.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/data/image_codec.h"
#include "base/data/image_folder.h"
#include "base/data/image_labels.h"
#include "base/data/source_spec.h"
#include "tests/support/archived_images.h"
#include "tests/support/errors.h"
#include "tests/support/files.h"
#include "tests/support/tar_bytes.h"
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
using testing::first_pixels;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::message_of;
using testing::pax_name;
using testing::png_of;
using testing::png_of_value;
using testing::put_gzip;
using testing::put_tar;
using testing::tar_of;
using testing::TarEntry;
using testing::TensorEq;

class ImageTar : public ::testing::Test {
 protected:
  /// The same archive as it is and packed.
  std::vector<std::string> put_both(const std::vector<TarEntry>& entries) {
    std::vector<std::string> paths;
    for (const char* name : {"images.tar", "images.tar.gz"}) {
      put_tar(dir_ / name, entries);
      paths.push_back((dir_ / name).string());
    }
    return paths;
  }
  std::string error(const std::string& name, const std::string& bytes) {
    testing::put_file(dir_ / name, bytes);
    return message_of<DataError>([&] { open_image_tar(dir_ / name); });
  }
  testing::TempDir dir_;
};

TEST_F(ImageTar, GivesItsImagesSortedByTheirPlaces) {
  for (const auto& path : put_both({{"./", "", '5'},
                                    {"./b.png", png_of_value(3)},
                                    {"./notes.txt", "no image"},
                                    {"./a/z.PNG", png_of_value(2)},
                                    {"./a/__MACOSX/._z.PNG", "resource fork"},
                                    {"./folder.png/", "", '5'},
                                    {"./a.png", png_of_value(1)}})) {
    const auto source = open_image_tar(path, {.threads = 3});
    EXPECT_EQ(source->name(), path);
    EXPECT_EQ(source->size(), 3);
    EXPECT_THAT(first_pixels(*source), ElementsAre(1, 2, 3));
    EXPECT_THAT(source->report().unreadable, IsEmpty());
    EXPECT_THAT(first_pixels(*open_image_tar(path, {.subset = {.first = 1, .count = 1}})), ElementsAre(2));
  }
}

TEST_F(ImageTar, ManyImagesOnManyThreadsAreThoseOfTheFolder) {
  std::vector<TarEntry> entries;
  std::filesystem::create_directory(dir_ / "folder");
  for (int i = 0; i < 200; ++i) {
    const auto name = fmt::format("{:03}.png", i * 77 % 200);  // in no order
    entries.push_back({"folder/" + name, png_of(torch::randint(0, 256, {3, 5, 6}, torch::kUInt8))});
    testing::put_file(dir_ / "folder" / name, entries.back().content);
  }
  const auto images = open_image_folder(dir_ / "folder")->next(1000);
  ASSERT_EQ(images.size(0), 200);
  for (const auto& path : put_both(entries)) {
    EXPECT_THAT(open_image_tar(path, {.threads = 8})->next(1000), TensorEq(images)) << path;
  }
}

TEST_F(ImageTar, NamesAreBytesHoweverTheyAreStored) {
  const std::string deep = std::string(150, 'd') + "/\xc3\xa9.png";
  for (const auto& path : put_both({pax_name(deep),
                                    {"short", png_of_value(3)},
                                    {"\xe9.png", png_of_value(4)},
                                    pax_name("\xc3\xa9.png"),
                                    {"short", png_of_value(5)}})) {
    const auto source = open_image_tar(path);
    EXPECT_THAT(first_pixels(*source), ElementsAre(3, 5, 4)) << path;
    EXPECT_THAT(source->report().unreadable, IsEmpty());
  }
}

TEST_F(ImageTar, WhatComesLaterReplacesWhatWasThere) {
  for (const auto& path :
       put_both({{"1.png", png_of_value(1)}, {"2.png", png_of_value(2)}, {"./1.png", png_of_value(9)}})) {
    EXPECT_THAT(first_pixels(*open_image_tar(path)), ElementsAre(9, 2));
  }
}

TEST_F(ImageTar, LinksToImagesInTheArchiveAreImages) {
  for (const auto& path : put_both({{"set/1.png", png_of_value(1)},
                                    {"set/2.png", "", '1', "set/1.png"},
                                    {"set/a/3.png", "", '2', "../2.png"},
                                    {"set/b/4.png", png_of_value(4)},
                                    {"set/b/5.png", "", '2', "4.png"},
                                    {"set/6.png", "", '2', "/etc/passwd"},
                                    {"set/7.png", "", '2', "7.png"},
                                    {"set/8.png", "", '6'}})) {
    const auto source = open_image_tar(path);
    EXPECT_EQ(source->size(), 5);
    EXPECT_THAT(first_pixels(*source), ElementsAre(1, 1, 1, 4, 4));
    EXPECT_THAT(
        source->report().unreadable,
        ElementsAre(HasSubstr("set/8.png: is no regular file"),
                    HasSubstr("set/6.png: is a link to '/etc/passwd', which is no image in the archive"),
                    HasSubstr("set/7.png: is a link to 'set/7.png'")));
  }
}

TEST_F(ImageTar, HasTheLabelsOfTheFolder) {
  const auto labels = torch::tensor({1, 0}, torch::kInt64);
  const auto labels_of = [](const std::string& path) {
    const auto source = open_image_tar(path);
    first_pixels(*source);
    return source->labels();
  };
  const std::string json = R"({"labels": [["a.png", 1], ["b.png", 0]]})";
  for (const std::string top : {"", "./", "set/"}) {
    for (const auto& path : put_both({{top + "a.png", png_of_value(1)},
                                      {top + "b.png", png_of_value(2)},
                                      {top + kLabelsFile, json}})) {
      EXPECT_THAT(labels_of(path), TensorEq(labels)) << top;
    }
  }
  for (const auto& path :
       put_both({{"set/cat/1.png", png_of_value(1)}, {"set/ant/1.png", png_of_value(2)}})) {
    EXPECT_THAT(open_image_tar(path)->classes().names, ElementsAre("ant", "cat"));
    EXPECT_THAT(labels_of(path), TensorEq(torch::tensor({0, 1}, torch::kInt64)));
  }
}

TEST_F(ImageTar, AnImageThatIsDamagedIsListed) {
  for (const auto& path : put_both({{"1.png", png_of_value(1)}, {"2.png", "text"}})) {
    const auto source = open_image_tar(path);
    EXPECT_THAT(first_pixels(*source), ElementsAre(1));
    EXPECT_THAT(source->report().unreadable, ElementsAre(HasSubstr(path + ": 2.png: not a PNG")));
  }
}

TEST_F(ImageTar, ADamagedArchiveIsRefused) {
  const auto whole = tar_of({{"1.png", png_of_value(1)}, {"2.png", png_of_value(2)}});
  EXPECT_THAT(error("cut.tar", whole.substr(0, 600)),
              AllOf(HasSubstr("cut.tar: damaged archive: "), HasSubstr("runcated")));
  auto damaged = whole;
  damaged[1024 + 3] ^= 1;  // in the second header
  EXPECT_THAT(error("damaged.tar", damaged), HasSubstr("damaged.tar: damaged archive: "));
  EXPECT_THAT(error("text.tar", "text"), HasSubstr("text.tar: damaged archive: "));
  EXPECT_THAT(error("empty.tar", ""), HasSubstr("empty.tar: "));
  EXPECT_THAT(error("none.tar", tar_of({{"a.txt", "x"}})),
              HasSubstr("none.tar: no image files in it; looked for"));
  EXPECT_THAT(message_of<DataError>([&] { open_image_tar(dir_ / "gone.tar"); }), HasSubstr("gone.tar"));

  put_gzip(dir_ / "whole.tgz", whole);
  auto packed = core::read_text(dir_ / "whole.tgz");
  EXPECT_THAT(error("cut.tgz", packed.substr(0, packed.size() - 9)),
              HasSubstr("cut.tgz: the gzip stream is cut short"));
  packed[packed.size() - 5] ^= 1;
  EXPECT_THAT(error("damaged.tgz", packed), HasSubstr("incorrect data check"));
}

TEST_F(ImageTar, OneThatIsCutBetweenMembersIsTold) {
  auto cut = tar_of({{"1.png", png_of_value(1)}});
  cut.resize(cut.size() - 1024);
  testing::put_file(dir_ / "cut.tar", cut);
  put_gzip(dir_ / "cut.tgz", cut);
  for (const char* name : {"cut.tar", "cut.tgz"}) {
    const auto source = open_image_tar(dir_ / name);
    EXPECT_THAT(first_pixels(*source), ElementsAre(1));
    EXPECT_THAT(source->report().unreadable,
                ElementsAre(HasSubstr(std::string(name) +
                                      ": does not end as tar archives do; images may be missing")));
    EXPECT_THAT(
        message_of<DataError>([&] { open_image_tar(dir_ / name, {.on_bad_file = OnBadFile::kFail}); }),
        HasSubstr("images may be missing"));
  }
}

// By the size that it states, before memory is taken.
TEST_F(ImageTar, AMemberThatIsLargerThanImagesAreIsListed) {
  auto large = testing::tar_blocks({"2.png", ""});
  large.replace(124, 11, "02000000001");  // 2^28 + 1
  unsigned sum = 0;
  large.replace(148, 8, "        ");
  for (const char byte : large) {
    sum += static_cast<unsigned char>(byte);
  }
  large.replace(148, 6, fmt::format("{:06o}", sum));
  const auto path = dir_ / "large.tar";
  testing::put_file(path, testing::tar_blocks({"1.png", png_of_value(1)}) + large);
  // The rest are holes, which take no room on the disk.
  std::filesystem::resize_file(path, std::filesystem::file_size(path) + (uint64_t{1} << 28) + 512 + 1024);
  const auto source = open_image_tar(path);
  EXPECT_THAT(first_pixels(*source), ElementsAre(1));
  EXPECT_THAT(source->report().unreadable,
              ElementsAre(HasSubstr("2.png: 268435457 bytes unpacked, where 268435456 are the most")));
}

TEST_F(ImageTar, IsASourceWithPartsAndFraming) {
  const at::Tensor images = torch::randint(0, 256, {4, 3, 6, 8}, torch::kUInt8);
  std::vector<TarEntry> entries;
  for (int i = 0; i < 4; ++i) {
    entries.push_back({fmt::format("{}.png", i), png_of(images[i])});
  }
  for (const auto& path : put_both(entries)) {
    testing::expect_source_of(path, SourceKind::kTar, images);
  }
  EXPECT_THAT(message_of<DataError>([&] { parse_source("none.tgz"); }), HasSubstr("none.tgz: no such file"));
}

}  // namespace
}  // namespace ddpm_eval::data
