#include "base/data/array_source.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/data/npy.h"
#include "base/data/npz.h"
#include "tests/support/errors.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tensor_matchers.h"

namespace ddpm_eval::data {
namespace {

using core::DataError;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::message_of;
using testing::TensorEq;

class ArraySource : public ::testing::Test {
 protected:
  ArraySource() : nhwc_(torch::randint(0, 256, {6, 4, 5, 3}, torch::kUInt8)) {
    images_ = nhwc_.permute({0, 3, 1, 2}).contiguous();
    write_npz(dir_ / "a.npz", {{"arr_0", nhwc_}, {"arr_1", torch::arange(6)}});
  }
  std::string error(const at::Tensor& array) {
    write_npz(dir_ / "b.npz", {{"arr_0", array}});
    return message_of<DataError>([&] { open_array_source(dir_ / "b.npz"); });
  }
  testing::TempDir dir_;
  at::Tensor nhwc_, images_;
};

TEST_F(ArraySource, StreamsAnNpzAndAnNpy) {
  testing::put_file(dir_ / "a.npy", to_npy(nhwc_));
  for (const auto* name : {"a.npz", "a.npy"}) {
    const auto source = open_array_source(dir_ / name);
    EXPECT_EQ(source->name(), (dir_ / name).string());
    EXPECT_EQ(source->size(), 6);
    EXPECT_THAT(source->next(4), TensorEq(images_.narrow(0, 0, 4)));
    EXPECT_THAT(source->next(4), TensorEq(images_.narrow(0, 4, 2)));
    EXPECT_FALSE(source->next(4).defined());
    EXPECT_EQ(source->report().yielded, 6);
  }
}

TEST_F(ArraySource, TheSecondArrayIsLabels) {
  const auto source = open_array_source(dir_ / "a.npz", {.first = 2, .count = 3});
  EXPECT_EQ(source->classes().count, 6);
  EXPECT_THAT(source->classes().names, ::testing::IsEmpty());
  EXPECT_EQ(source->labels().size(0), 0);
  source->next(2);
  EXPECT_THAT(source->labels(), TensorEq(torch::tensor({2, 3}, torch::kInt64)));
  source->next(2);
  EXPECT_THAT(source->labels(), TensorEq(torch::tensor({2, 3, 4}, torch::kInt64)));

  write_npz(dir_ / "none.npz", {{"arr_0", nhwc_}});
  EXPECT_EQ(open_array_source(dir_ / "none.npz")->classes().absent,
            "it has no array arr_1 of labels beside arr_0");
  const at::Tensor negative = torch::arange(6) - 1;
  for (const auto& no_labels : {torch::arange(5), torch::rand({6}), torch::zeros({6, 1}, torch::kInt64),
                                negative, torch::full({6}, 65536, torch::kInt64)}) {
    write_npz(dir_ / "bad.npz", {{"arr_0", nhwc_}, {"arr_1", no_labels}});
    const auto bad = open_array_source(dir_ / "bad.npz");
    EXPECT_THAT(bad->next(9), TensorEq(images_)) << "images need no labels";
    EXPECT_THAT(message_of<DataError>([&] { (void)bad->classes(); }), HasSubstr("bad.npz: arr_1 is "));
  }
}

TEST_F(ArraySource, GreyscaleWithAndWithoutAChannelAxis) {
  const at::Tensor grey = nhwc_.select(3, 0).contiguous();
  for (const auto& array : {grey, grey.unsqueeze(3)}) {
    testing::put_file(dir_ / "g.npy", to_npy(array));
    const auto source = open_array_source(dir_ / "g.npy");
    EXPECT_THAT(source->next(9), TensorEq(grey.unsqueeze(1).expand({6, 3, 4, 5}).contiguous()));
    EXPECT_THAT(source->report().notes, ElementsAre("greyscale images, replicated to RGB"));
  }
}

TEST_F(ArraySource, ASubset) {
  const auto source = open_array_source(dir_ / "a.npz", {2, 3});
  EXPECT_EQ(source->size(), 3);
  EXPECT_THAT(source->next(9), TensorEq(images_.narrow(0, 2, 3)));
  message_of<core::UsageError>([&] { open_array_source(dir_ / "a.npz", {5, 2}); });
}

TEST_F(ArraySource, OtherArraysAreRefusedWithAReason) {
  EXPECT_THAT(error(images_), HasSubstr("[6, 3, 4, 5] looks like [N, C, H, W]"));
  EXPECT_THAT(error(nhwc_.to(torch::kFloat32)),
              HasSubstr("holds Float of shape [6, 4, 5, 3], where images are uint8"));
  EXPECT_THAT(error(nhwc_.select(0, 0).select(0, 0)), HasSubstr("[N, H, W, 3]"));
  EXPECT_THAT(error(torch::zeros({2, 4, 5, 4}, torch::kUInt8)), HasSubstr("[N, H, W, 3]"));
  EXPECT_THAT(error(torch::zeros({0, 4, 5, 3}, torch::kUInt8)), HasSubstr("no images"));
  EXPECT_THAT(error(torch::zeros({1, 60000, 1, 3}, torch::kUInt8)), HasSubstr("too large"));
  write_npz(dir_ / "b.npz", {{"images", nhwc_}});
  EXPECT_THAT(message_of<DataError>([&] { open_array_source(dir_ / "b.npz"); }),
              HasSubstr("has no array 'arr_0'; it holds images"));
}

TEST_F(ArraySource, CutAnywhereIsADataErrorBeforeTheLastImage) {
  const std::string whole = core::read_text(dir_ / "a.npz");
  for (size_t length = 0; length < whole.size(); length += 11) {
    testing::put_file(dir_ / "cut.npz", std::string_view(whole).substr(0, length));
    message_of<DataError>([&] { open_array_source(dir_ / "cut.npz")->next(100); });
  }
  const std::string npy = to_npy(nhwc_);
  for (size_t length = 0; length < npy.size(); length += 5) {
    testing::put_file(dir_ / "cut.npy", std::string_view(npy).substr(0, length));
    message_of<DataError>([&] { open_array_source(dir_ / "cut.npy"); });
  }
}

TEST_F(ArraySource, ADamagedPixelIsFoundByItsChecksum) {
  std::string whole = core::read_text(dir_ / "a.npz");
  whole[500] = static_cast<char>(whole[500] ^ 1);
  testing::put_file(dir_ / "bad.npz", whole);
  const auto source = open_array_source(dir_ / "bad.npz");
  EXPECT_THAT(message_of<DataError>([&] { source->next(100); }), HasSubstr("damaged"));
}

}  // namespace
}  // namespace ddpm_eval::data
