#include "base/data/sinks.h"

#include "base/core/error.h"
#include "base/data/array_source.h"
#include "base/data/image_folder.h"
#include "base/data/npz.h"
#include "tests/support/errors.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tensor_matchers.h"

#include <torch/types.h>

namespace ddpm_eval::data {
namespace {

using core::ResourceError;
using ::testing::HasSubstr;
using testing::message_of;
using testing::TensorEq;

class Sinks : public ::testing::Test {
 protected:
  Sinks() : images_(torch::randint(0, 256, {7, 3, 5, 6}, torch::kUInt8)) {}
  testing::TempDir dir_;
  at::Tensor images_;
};

TEST_F(Sinks, APngFolderHoldsTheImagesInOrder) {
  const auto sink = make_png_folder_sink(dir_ / "new/folder");
  sink->write(images_.narrow(0, 0, 4));
  sink->write(images_.narrow(0, 4, 3));
  sink->finish();
  EXPECT_TRUE(std::filesystem::exists(dir_ / "new/folder/000000.png"));
  EXPECT_TRUE(std::filesystem::exists(dir_ / "new/folder/000006.png"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir_ / "new/folder"), {}), 7);
  EXPECT_THAT(open_image_folder(dir_ / "new/folder")->next(100), TensorEq(images_));
}

TEST_F(Sinks, GreyscalePngsAndALaterStart) {
  const at::Tensor grey = images_.narrow(1, 0, 1).contiguous();
  const auto sink = make_png_folder_sink(dir_ / "out", 3);
  sink->write(grey);
  sink->finish();
  EXPECT_TRUE(std::filesystem::exists(dir_ / "out/000003.png"));
  EXPECT_TRUE(std::filesystem::exists(dir_ / "out/000009.png"));
  EXPECT_THAT(open_image_folder(dir_ / "out")->next(100), TensorEq(grey.expand({7, 3, 5, 6})));
}

TEST_F(Sinks, NamesThatWouldNotSortInOrderAreRefused) {
  EXPECT_THAT(
      message_of<core::UsageError>([&] { make_png_folder_sink(dir_ / "out", 999'994)->write(images_); }),
      HasSubstr("at most 1000000 images"));
  make_png_folder_sink(dir_ / "out", 999'993)->write(images_);
  EXPECT_TRUE(std::filesystem::exists(dir_ / "out/999999.png"));
}

TEST_F(Sinks, ASequenceEndsAtItsFirstGapOrEmptyFile) {
  EXPECT_EQ(count_png_sequence(dir_ / "none"), 0);
  EXPECT_FALSE(holds_png(dir_ / "none"));
  make_png_folder_sink(dir_ / "out")->write(images_);
  EXPECT_EQ(count_png_sequence(dir_ / "out"), 7);
  EXPECT_TRUE(holds_png(dir_ / "out"));
  std::filesystem::resize_file(dir_ / "out/000005.png", 0);
  EXPECT_EQ(count_png_sequence(dir_ / "out"), 5);
  std::filesystem::remove(dir_ / "out/000002.png");
  EXPECT_EQ(count_png_sequence(dir_ / "out"), 2);
}

TEST_F(Sinks, AFolderThatCannotBeMadeOrIsGone) {
  testing::put_file(dir_ / "file", "x");
  EXPECT_THAT(message_of<ResourceError>([&] { make_png_folder_sink(dir_ / "file"); }), HasSubstr("file: "));
  EXPECT_THAT(message_of<ResourceError>([&] { make_png_folder_sink(dir_ / "file/sub"); }),
              HasSubstr("file/sub"));
  const auto sink = make_png_folder_sink(dir_ / "out");
  std::filesystem::remove(dir_ / "out");
  EXPECT_THAT(message_of<ResourceError>([&] { sink->write(images_); }), HasSubstr("cannot be written"));
  EXPECT_THAT(message_of<ResourceError>([&] { make_npz_sink(dir_ / "no/a.npz"); }), HasSubstr("no/a.npz"));
}

TEST_F(Sinks, AFullDiskLeavesNoPartialFile) {
  std::string png_message, npz_message;
  {
    const at::Tensor large = torch::randint(0, 256, {2, 3, 100, 100}, torch::kUInt8);
    const auto folder = make_png_folder_sink(dir_ / "out");
    const auto npz = make_npz_sink(dir_ / "a.npz");
    const testing::FileSizeLimit limit(10'000);
    png_message = message_of<ResourceError>([&] { folder->write(large); });
    npz_message = message_of<ResourceError>([&] { npz->write(large); });
  }
  EXPECT_THAT(png_message, HasSubstr("png: write failed"));
  EXPECT_THAT(npz_message, HasSubstr("a.npz: write failed"));
  EXPECT_TRUE(std::filesystem::is_empty(dir_ / "out"));
  EXPECT_FALSE(std::filesystem::exists(dir_ / "a.npz"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir_.path()), {}), 1);
}

TEST_F(Sinks, AnNpzHasAdmsLayout) {
  const auto sink = make_npz_sink(dir_ / "a.npz");
  sink->write(images_.narrow(0, 0, 5));
  sink->write(images_.narrow(0, 5, 2));
  EXPECT_FALSE(std::filesystem::exists(dir_ / "a.npz"));
  sink->finish();
  EXPECT_THAT(NpzReader(dir_ / "a.npz").read("arr_0"), TensorEq(images_.permute({0, 2, 3, 1}).contiguous()));
  EXPECT_THAT(open_array_source(dir_ / "a.npz")->next(100), TensorEq(images_));
}

TEST_F(Sinks, AnNpzCarriesItsProvenance) {
  const auto sink = make_npz_sink(dir_ / "a.npz", "{\"seed\": 1}");
  sink->write(images_);
  sink->finish();
  EXPECT_EQ(NpzReader(dir_ / "a.npz").read_text(kSampleProvenance), "{\"seed\": 1}");
  EXPECT_THAT(open_array_source(dir_ / "a.npz")->next(100), TensorEq(images_));
}

TEST_F(Sinks, AnNpzOfGreyscaleIsRgb) {
  const auto sink = make_npz_sink(dir_ / "a.npz");
  sink->write(images_.narrow(1, 0, 1));
  sink->finish();
  EXPECT_EQ(NpzReader(dir_ / "a.npz").read("arr_0").sizes(), (std::vector<int64_t>{7, 5, 6, 3}));
}

TEST_F(Sinks, AnNpzWithoutImagesIsAnError) {
  const auto sink = make_npz_sink(dir_ / "a.npz");
  EXPECT_THAT(message_of<core::DataError>([&] { sink->finish(); }), HasSubstr("no images to write"));
}

}  // namespace
}  // namespace ddpm_eval::data
