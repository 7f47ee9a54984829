#include "base/data/image_folder.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/data/image_codec.h"
#include "tests/support/errors.h"
#include "tests/support/files.h"
#include "tests/support/memory_limit.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tensor_matchers.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <torch/types.h>
#include <unistd.h>
#include <zlib.h>

namespace ddpm_eval::data {
namespace {

using core::DataError;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::message_of;
using testing::TensorEq;

class ImageFolder : public ::testing::Test {
 protected:
  /// A PNG filled with `value`.
  void put(const std::string& name, int value, int64_t width = 4, int64_t height = 3) {
    const auto path = dir_ / name;
    std::filesystem::create_directories(path.parent_path());
    const auto png = encode_png(torch::full({3, height, width}, value, torch::kUInt8));
    testing::put_file(path, {png.data(), png.size()});
  }
  void put_text(const std::string& name, const std::string& text) { testing::put_file(dir_ / name, text); }

  /// First pixels of all images, batch by batch.
  std::vector<std::vector<int>> drain(ImageSource& source, int64_t max_images = 100) {
    std::vector<std::vector<int>> batches;
    for (at::Tensor batch; (batch = source.next(max_images)).defined();) {
      auto& values = batches.emplace_back();
      for (int64_t i = 0; i < batch.size(0); ++i) {
        values.push_back(batch[i][0][0][0].item<int>());
      }
    }
    return batches;
  }
  testing::TempDir dir_;
};

TEST_F(ImageFolder, ReadsFilesOfAllFoldersSortedByPathBytes) {
  put("b.png", 3);
  put("a/z.PNG", 2);
  put("a.png", 1);  // '.' sorts before '/'
  put("B.png", 0);
  put("c/d/e.png", 4);
  put_text("notes.txt", "not an image");
  put_text("png", "nor this");
  const auto source = open_image_folder(dir_.path(), {.threads = 3});
  EXPECT_EQ(source->size(), 5);
  EXPECT_EQ(source->name(), dir_.path().string());
  EXPECT_THAT(drain(*source, 3), ElementsAre(ElementsAre(0, 1, 2), ElementsAre(3, 4)));
  EXPECT_EQ(source->report().yielded, 5);
  EXPECT_THAT(source->report().unreadable, IsEmpty());
  EXPECT_THAT(source->report().notes, IsEmpty());
}

TEST_F(ImageFolder, ManyFilesKeepTheirOrderOnManyThreads) {
  std::vector<int> want;
  for (int i = 0; i < 200; ++i) {
    put(fmt::format("{:03}.png", i), i, 1, 5);
    want.push_back(i);
  }
  const auto source = open_image_folder(dir_.path(), {.threads = 8});
  EXPECT_THAT(drain(*source, 1000), ElementsAre(want));
}

TEST_F(ImageFolder, MayBeLeftHalfRead) {
  for (int i = 0; i < 50; ++i) {
    put(fmt::format("{:03}.png", i), i);
  }
  const auto source = open_image_folder(dir_.path(), {.threads = 4});
  EXPECT_EQ(source->next(1).size(0), 1);
}

TEST_F(ImageFolder, RunsOfEqualSizeComeTogether) {
  put("1.png", 1, 4, 3);
  put("2.png", 2, 4, 3);
  put("3.png", 3, 3, 4);
  put("4.png", 4, 4, 3);
  const auto source = open_image_folder(dir_.path());
  EXPECT_THAT(drain(*source), ElementsAre(ElementsAre(1, 2), ElementsAre(3), ElementsAre(4)));
  EXPECT_THAT(source->report().notes, ElementsAre("images of 2 sizes, from 3 x 4 to 4 x 3"));
}

TEST_F(ImageFolder, OneImageIsASetOfOne) {
  put("only.png", 9);
  const auto source = open_image_folder(dir_.path());
  EXPECT_THAT(source->next(64), TensorEq(torch::full({1, 3, 3, 4}, 9, torch::kUInt8)));
  EXPECT_FALSE(source->next(64).defined());
  EXPECT_FALSE(source->next(64).defined());
}

TEST_F(ImageFolder, BadFilesAreCountedAndListed) {
  put("1.png", 1);
  put("2.png", 2);
  const std::string whole = core::read_text(dir_ / "2.png");
  put_text("2.png", whole.substr(0, whole.size() - 9));
  put_text("3.png", "a text file");
  put_text("4.png", "");
  put("5.png", 5);
  const auto source = open_image_folder(dir_.path());
  EXPECT_THAT(drain(*source), ElementsAre(ElementsAre(1, 5)));
  EXPECT_THAT(source->report().unreadable,
              ElementsAre((dir_ / "2.png").string() + ": truncated", HasSubstr("3.png: not a PNG, JPEG"),
                          HasSubstr("4.png: empty file")));
  EXPECT_EQ(source->report().yielded, 2);

  const auto strict = open_image_folder(dir_.path(), {.on_bad_file = OnBadFile::kFail});
  EXPECT_THAT(message_of<DataError>([&] { drain(*strict); }),
              HasSubstr("2.png: truncated; mend or remove the file"));
}

TEST_F(ImageFolder, NotOneReadableFileIsAnError) {
  put_text("1.png", "a text file");
  put_text("2.jpg", "another");
  const auto source = open_image_folder(dir_.path());
  EXPECT_THAT(message_of<DataError>([&] { source->next(8); }),
              HasSubstr("not one of its 2 image files can be read"));
}

TEST_F(ImageFolder, WithoutImagesTheErrorSaysWhatIsLookedFor) {
  EXPECT_THAT(message_of<DataError>([&] { open_image_folder(dir_.path()); }),
              HasSubstr("looked for png, jpg, jpeg"));
  put_text("readme.txt", "x");
  EXPECT_THAT(message_of<DataError>([&] { open_image_folder(dir_.path()); }), HasSubstr("no image files"));
  EXPECT_THAT(message_of<DataError>([&] { open_image_folder(dir_ / "none"); }), HasSubstr("no such folder"));
  EXPECT_THAT(message_of<DataError>([&] { open_image_folder(dir_ / "readme.txt"); }),
              HasSubstr("is not a folder"));
}

TEST_F(ImageFolder, LoopsOfLinksEnd) {
  put("a/1.png", 1);
  std::filesystem::create_directory_symlink(dir_.path(), dir_ / "a/loop");
  std::filesystem::create_directory_symlink(dir_ / "a", dir_ / "b");
  std::filesystem::create_symlink(dir_ / "nowhere", dir_ / "dangling.png");
  std::vector<std::string> unreadable;
  EXPECT_THAT(list_images(dir_.path(), unreadable), ElementsAre(dir_ / "a/1.png", dir_ / "dangling.png"));
  EXPECT_THAT(unreadable, IsEmpty());
  const auto source = open_image_folder(dir_.path());
  EXPECT_THAT(drain(*source), ElementsAre(ElementsAre(1)));
  EXPECT_THAT(source->report().unreadable, ElementsAre(HasSubstr("dangling.png: cannot be opened")));
}

// As in archives made by macOS.
TEST_F(ImageFolder, ResourceForksAreNoImages) {
  put("__MACOSX.png", 1);
  put("a/2.png", 2);
  put_text("a/x.txt", "");
  std::filesystem::create_directories(dir_ / "__MACOSX");
  std::filesystem::create_directories(dir_ / "a/__MACOSX/more");
  put_text("__MACOSX/._1.png", "resource fork");
  put_text("a/__MACOSX/more/._2.png", "resource fork");
  const auto source = open_image_folder(dir_.path());
  EXPECT_THAT(drain(*source), ElementsAre(ElementsAre(1, 2)));
  EXPECT_THAT(source->report().unreadable, IsEmpty());
}

TEST_F(ImageFolder, PipesAndDevicesAreListedAndNeverOpened) {
  put("1.png", 1);
  ASSERT_EQ(::mkfifo((dir_ / "2.png").c_str(), 0600), 0);
  std::filesystem::create_symlink("/dev/zero", dir_ / "3.png");
  const auto source = open_image_folder(dir_.path());
  EXPECT_EQ(source->size(), 3);
  EXPECT_THAT(drain(*source), ElementsAre(ElementsAre(1)));
  EXPECT_THAT(source->report().unreadable,
              ElementsAre(HasSubstr("2.png: is no regular file"), HasSubstr("3.png: is no regular file")));
  const auto strict = open_image_folder(dir_.path(), {.on_bad_file = OnBadFile::kFail});
  EXPECT_THAT(message_of<DataError>([&] { drain(*strict); }), HasSubstr("2.png: is no regular file"));
}

TEST_F(ImageFolder, LinksThatLeadOutOfItAreFollowed) {
  put("elsewhere/1.png", 1);
  put("elsewhere/more/2.png", 2);
  std::filesystem::create_directory(dir_ / "subset");
  std::filesystem::create_symlink("../elsewhere/1.png", dir_ / "subset/a.png");
  std::filesystem::create_directory_symlink("../elsewhere/more", dir_ / "subset/b");
  std::filesystem::create_directory_symlink("..", dir_ / "elsewhere/more/parent");
  std::vector<std::string> unreadable;
  EXPECT_THAT(list_images(dir_ / "subset", unreadable),
              ElementsAre(dir_ / "subset/a.png", dir_ / "subset/b/2.png", dir_ / "subset/b/parent/1.png"));
  EXPECT_THAT(drain(*open_image_folder(dir_ / "subset")), ElementsAre(ElementsAre(1, 2, 1)));
}

TEST_F(ImageFolder, AFolderThatCannotBeReadIsListedAndTheOthersAreRead) {
  put("a/1.png", 1);
  put("z/2.png", 2);
  // A path longer than the system takes, which bars even the superuser.
  const std::string name(250, 'd');
  int folder = ::open(dir_.path().c_str(), O_RDONLY | O_DIRECTORY);
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(::mkdirat(folder, name.c_str(), 0700), 0);
    const int next = ::openat(folder, name.c_str(), O_RDONLY | O_DIRECTORY);
    ::close(folder);
    folder = next;
  }
  ::close(folder);
  const auto source = open_image_folder(dir_.path());
  EXPECT_THAT(drain(*source), ElementsAre(ElementsAre(1, 2)));
  EXPECT_THAT(source->report().unreadable, ElementsAre(HasSubstr("ddd: cannot be read: File name too long")));
  EXPECT_THAT(
      message_of<DataError>([&] { open_image_folder(dir_.path(), {.on_bad_file = OnBadFile::kFail}); }),
      HasSubstr("File name too long; mend or remove it"));
  EXPECT_THAT(
      message_of<DataError>([&] { open_image_folder(dir_ / name); }),
      ::testing::AllOf(HasSubstr("no image files in it or below"), HasSubstr("1 place cannot be read")));
}

TEST_F(ImageFolder, NotesTellWhatAReaderOfTheScoreShouldKnow) {
  const auto golden = testing::source_dir() / "tests/golden/images";
  for (const auto* name : {"grey16.png", "rgba.png", "lossy.webp", "colour.jpg", "cmyk.jpg"}) {
    std::filesystem::copy_file(golden / name, dir_ / name);
  }
  const auto source = open_image_folder(dir_.path());
  drain(*source);
  const auto& notes = source->report().notes;
  EXPECT_THAT(notes, Contains("1 of 5 images have 16 bits a sample; the high byte was used"));
  EXPECT_THAT(notes, Contains("3 of 5 images are lossy files (JPEG or lossy WebP), which shifts scores"));
  EXPECT_THAT(notes, Contains("1 of 5 images are greyscale, replicated to RGB"));
  EXPECT_THAT(notes, Contains("1 of 5 images have transparency, which was dropped"));
  EXPECT_THAT(notes, Contains(HasSubstr("1 of 5 images are CMYK")));
}

/// A PNG of black and white, all black: a large picture in a small file.
std::string black_png(uint32_t side) {
  const auto big_endian = [](uint32_t value) {
    return std::string{static_cast<char>(value >> 24), static_cast<char>(value >> 16),
                       static_cast<char>(value >> 8), static_cast<char>(value)};
  };
  const auto chunk = [&](const std::string& type, const std::string& body) {
    const std::string checked = type + body;
    const auto sum =
        ::crc32(0, reinterpret_cast<const Bytef*>(checked.data()), static_cast<uInt>(checked.size()));
    return big_endian(static_cast<uint32_t>(body.size())) + checked + big_endian(static_cast<uint32_t>(sum));
  };
  const std::string rows(size_t{side} * (1 + side / 8), '\0');
  std::string packed(::compressBound(rows.size()), '\0');
  uLongf length = packed.size();
  EXPECT_EQ(::compress2(reinterpret_cast<Bytef*>(packed.data()), &length,
                        reinterpret_cast<const Bytef*>(rows.data()), rows.size(), 1),
            Z_OK);
  packed.resize(length);
  return "\x89PNG\r\n\x1a\n" +
         chunk("IHDR", big_endian(side) + big_endian(side) + std::string("\x01\0\0\0\0", 5)) +
         chunk("IDAT", packed) + chunk("IEND", "");
}

TEST_F(ImageFolder, NoMemoryIsNotDamage) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizer needs the address space";
#endif
  put_text("large.png", black_png(16'384));  // 768 MiB decoded
  const testing::MemoryLimit limit(256 << 20);
  const auto source = open_image_folder(dir_.path(), {.threads = 1});
  EXPECT_THAT(message_of<core::ResourceError>([&] { source->next(1); }),
              ::testing::AllOf(HasSubstr("large.png: no memory for the 16384 x 16384 pixels"),
                               HasSubstr("--threads")));
}

TEST_F(ImageFolder, ASubsetIsOfTheSortedFiles) {
  for (int i = 0; i < 6; ++i) {
    put(fmt::format("{}.png", i), i);
  }
  const auto source = open_image_folder(dir_.path(), {.subset = {2, 3}});
  EXPECT_EQ(source->size(), 3);
  EXPECT_THAT(drain(*source), ElementsAre(ElementsAre(2, 3, 4)));
  message_of<core::UsageError>([&] { open_image_folder(dir_.path(), {.subset = {6, 1}}); });
}

// The files 1, 2 and 5, as numpy draws them; of which one cannot be read.
TEST_F(ImageFolder, DrawnFilesComeInTheirOrderWithTheirLabels) {
  for (int i = 0; i < 6; ++i) {
    put(fmt::format("class{}/{}.png", i / 2, i), i);
  }
  put_text("class1/2.png", "no image");
  const auto source = open_image_folder(dir_.path(), {.subset = {.draw = Draw{3, 0}}});
  EXPECT_EQ(source->size(), 3);
  EXPECT_THAT(drain(*source, 1), ElementsAre(ElementsAre(1), ElementsAre(5)));
  EXPECT_THAT(source->labels(), TensorEq(torch::tensor({0, 2}, torch::kInt64)));
  EXPECT_THAT(source->report().unreadable, ElementsAre(HasSubstr("class1/2.png: ")));
}

TEST_F(ImageFolder, AListGivesItsFilesInItsOrder) {
  put("b.png", 2);
  put("a/1.png", 1);
  put("c.txt", 3);
  put_text("lists.png", "text");
  const auto list = dir_ / "a" / "list.txt";
  const auto write = [&](const std::string& text) { testing::put_file(list, text); };
  write("../b.png\r\n\n1.png\n" + (dir_ / "c.txt").string() + "\nnone.png\n../lists.png\n..");
  const auto source = open_image_list(list);
  EXPECT_EQ(source->name(), "@" + list.string());
  EXPECT_THAT(drain(*source), ElementsAre(ElementsAre(2, 1, 3)));
  EXPECT_THAT(source->report().unreadable,
              ElementsAre(HasSubstr("a/none.png: cannot be opened"), HasSubstr("a/../lists.png: "),
                          HasSubstr("a/..: is no regular file")));
  EXPECT_THAT(drain(*open_image_list(list, {.subset = {.first = 1, .count = 2}})),
              ElementsAre(ElementsAre(1, 3)));
  const auto refused = [&](const std::string& text, const std::string& reason) {
    write(text);
    EXPECT_EQ(message_of<DataError>([&] { open_image_list(list); }), list.string() + ": " + reason);
  };
  write(
      "\xef\xbb\xbf"
      "1.png\n../b.png\n");
  EXPECT_THAT(drain(*open_image_list(list)), ElementsAre(ElementsAre(1, 2)))
      << "a byte-order mark is no part of a path";
  std::filesystem::create_symlink("1.png", dir_ / "a" / "link.png");
  refused("1.png\n./1.png\n", "line 2: './1.png' is the file of line 1, '1.png', once more");
  refused("none.png\nlink.png\n1.png\n", "line 3: '1.png' is the file of line 2, 'link.png', once more");
  refused("\n\r\n", "no paths in it; a list has one a line");
  refused("1.png\n\n1.png", "line 3: '1.png' is in it twice");
  refused(std::string("1.png\n\0", 7), "line 2 holds a NUL; a list has one path a line");
  EXPECT_THAT(message_of<DataError>([&] { open_image_list(dir_ / "none"); }), HasSubstr("none"));
}

}  // namespace
}  // namespace ddpm_eval::data
