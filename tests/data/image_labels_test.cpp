#include "base/data/image_labels.h"

#include "base/core/error.h"
#include "base/data/image_codec.h"
#include "base/data/image_folder.h"
#include "base/data/image_zip.h"
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
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::message_of;
using testing::TensorEq;

at::Tensor whole(const std::vector<int64_t>& values) { return torch::tensor(values, torch::kInt64); }

class ImageLabels : public ::testing::Test {
 protected:
  void put(const std::string& name, const std::string& content) {
    std::filesystem::create_directories((set_ / name).parent_path());
    testing::put_file(set_ / name, content);
    members_.push_back({name, content});
  }
  void put_images(const std::vector<std::string>& names, int64_t width = 4) {
    const auto png = encode_png(torch::zeros({3, 2, width}, torch::kUInt8));
    for (const auto& name : names) {
      put(name, {png.begin(), png.end()});
    }
  }
  /// What has been put, as a folder and as an archive.
  std::vector<std::unique_ptr<ImageSource>> sources(const ImageFileOptions& options = {}) {
    testing::write_archive(dir_ / "set.zip", members_, "compression=deflate");
    std::vector<std::unique_ptr<ImageSource>> both;
    both.push_back(open_image_folder(set_, options));
    both.push_back(open_image_zip(dir_ / "set.zip", options));
    return both;
  }
  /// Of all images, without the files that cannot be read.
  static at::Tensor drained_labels(ImageSource& source) {
    while (source.next(2).defined()) {
    }
    return source.labels();
  }
  std::string why_not() { return open_image_folder(set_)->classes().absent; }
  std::string error_of(const std::string& json) {
    testing::put_file(set_ / kLabelsFile, json);
    const auto source = open_image_folder(set_);
    EXPECT_TRUE(source->next(9).defined()) << "images need no labels";
    return message_of<DataError>([&] { (void)source->classes(); });
  }

  testing::TempDir dir_;
  std::filesystem::path set_ = dir_ / "set";
  std::vector<testing::ArchiveEntry> members_;
};

TEST_F(ImageLabels, ClassFoldersAreNumberedByTheBytesOfTheirNames) {
  put_images({"cat/2.png", "dog/1.png", "Owl/9.png", "cat/1.png"});
  for (const auto& source : sources()) {
    const auto classes = source->classes();
    EXPECT_EQ(classes.count, 3);
    EXPECT_THAT(classes.names, ElementsAre("Owl", "cat", "dog"));
    EXPECT_THAT(source->labels(), TensorEq(torch::zeros({0}, torch::kInt64)));
    source->next(2);
    EXPECT_THAT(source->labels(), TensorEq(whole({0, 1})));
    EXPECT_THAT(drained_labels(*source), TensorEq(whole({0, 1, 1, 2})));
  }
}

TEST_F(ImageLabels, AreOfTheImagesThatCameAlone) {
  put_images({"a/1.png", "b/1.png", "c/2.png"});
  put("b/2.png", "text");
  put_images({"c/1.png"}, 5);  // another size waits for the next batch
  for (const auto& source : sources({.subset = {.first = 1, .count = {}}})) {
    EXPECT_EQ(source->classes().count, 3);
    EXPECT_EQ(source->next(9).size(0), 1);
    EXPECT_THAT(source->labels(), TensorEq(whole({1})));
    EXPECT_THAT(drained_labels(*source), TensorEq(whole({1, 2, 2})));
  }
}

TEST_F(ImageLabels, FoldersNamedByNumbersAreTheClassesOfTheseNumbers) {
  put_images({"10/1.png", "2/1.png", "0/1.png"});
  for (const auto& source : sources()) {
    EXPECT_EQ(source->classes().count, 11);
    EXPECT_THAT(source->classes().names, IsEmpty());
    EXPECT_THAT(drained_labels(*source), TensorEq(whole({0, 10, 2})));
  }
  put_images({"01/1.png"});
  EXPECT_THAT(drained_labels(*open_image_folder(set_)), TensorEq(whole({0, 1, 10, 2})));
  put_images({"1/1.png"});  // the same number twice is none
  EXPECT_THAT(open_image_folder(set_)->classes().names, ElementsAre("0", "01", "1", "10", "2"));
}

TEST_F(ImageLabels, AListHasThoseOfItsFilesFolders) {
  put_images({"new/cat/1.png", "new/dog/1.png"});
  testing::put_file(dir_ / "list.txt", "set/new/dog/1.png\nset/new/cat/1.png\n");
  const auto source = open_image_list(dir_ / "list.txt");
  EXPECT_THAT(source->classes().names, ElementsAre("cat", "dog"));
  EXPECT_THAT(drained_labels(*source), TensorEq(whole({1, 0})));
}

TEST_F(ImageLabels, ImagesWithoutClassFoldersHaveNoneAndItIsSaidWhy) {
  put_images({"cat/1.png", "cat/2.png"});
  EXPECT_THAT(why_not(), HasSubstr("its images lie in one folder, not in one for each class"));
  put_images({"dog/puppies/1.png"});
  EXPECT_EQ(why_not(), "it has images in 'cat' and in 'dog/puppies', where class folders lie side by side");
  put_images({"1.png"});
  for (const auto& source : sources()) {
    EXPECT_EQ(source->classes().count, 0);
    EXPECT_EQ(source->classes().absent,
              "it has images in '.' and in 'cat', where class folders lie side by side");
    EXPECT_FALSE(drained_labels(*source).defined());
  }
}

TEST_F(ImageLabels, AFileOfLabelsGoesBeforeFolders) {
  put_images({"00001/img1.png", "00000/img0.png", "x.png"});
  put(kLabelsFile, R"({"labels": [["x.png", 0], ["00001/img1.png", 7], ["00000/img0.png", 2], ["gone.png", 8],
                       ["x.png", 0]]})");
  for (const auto& source : sources()) {
    EXPECT_EQ(source->classes().count, 9);
    EXPECT_THAT(source->classes().names, IsEmpty());
    EXPECT_THAT(drained_labels(*source), TensorEq(whole({2, 7, 0})));
  }
  testing::put_file(set_ / kLabelsFile, R"({"labels": null})");
  EXPECT_EQ(why_not(), "dataset.json says that there are none");
}

TEST_F(ImageLabels, AFileOfLabelsThatIsDamagedIsRefusedByThoseWhoNeedIt) {
  put_images({"a/1.png", "b/2.png", "b/3.png"});
  for (const char* no_labels : {"", "[]", R"({"label": []})", R"({"labels": 3})", R"({"labels": [)"}) {
    EXPECT_THAT(error_of(no_labels),
                HasSubstr(R"(set: dataset.json: is no {"labels": [["path", number], ...]})"))
        << no_labels;
  }
  EXPECT_THAT(error_of(R"({"labels": [["a/1.png", 0], ["b/2.png"]]})"),
              HasSubstr(R"(entry 1 of its labels is no ["path", number])"));
  for (const char* label : {"-1", "65536", "1e300", "0.5", "\"cat\"", "[0, 1]", "99999999999999999999"}) {
    EXPECT_THAT(
        error_of(fmt::format(R"({{"labels": [["a/1.png", {}]]}})", label)),
        AllOf(HasSubstr("the label of 'a/1.png' is "), HasSubstr("numbers from 0 to 65535 are possible")))
        << label;
  }
  EXPECT_THAT(error_of(R"({"labels": [["a/1.png", 0], ["a/1.png", 1]]})"),
              HasSubstr("'a/1.png' has two labels in it, 0 and 1"));
  EXPECT_THAT(error_of(R"({"labels": [["a/1.png", 0]]})"),
              HasSubstr("has no label for 2 of the 3 images, 'b/2.png' the first of them"));
}

TEST_F(ImageLabels, AFileOfLabelsHasALimit) {
  require_labels_size("set.zip: dataset.json", kMaxLabelsBytes);
  EXPECT_EQ(message_of<DataError>([] { require_labels_size("set.zip: dataset.json", kMaxLabelsBytes + 1); }),
            "set.zip: dataset.json: 134217729 bytes, where 134217728 are the most of a file of labels");
}

}  // namespace
}  // namespace ddpm_eval::data
