#include "base/data/idx.h"

#include "base/core/error.h"
#include "tests/support/environment.h"
#include "tests/support/errors.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tensor_matchers.h"

#include <zlib.h>

namespace ddpm_eval::data {
namespace {

using core::DataError;
using ::testing::HasSubstr;
using testing::message_of;
using testing::TensorEq;

std::string big_endian(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

std::string gzip(const std::string& text) {
  z_stream stream{};
  EXPECT_EQ(::deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(::deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(::deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  return out;
}

class Idx : public ::testing::Test {
 protected:
  std::string load_error() {
    return message_of<DataError>([&] { load_idx("set", dir_ / "i", dir_ / "l"); });
  }
  void put(const std::string& images, const std::string& labels) {
    testing::put_file(dir_ / "i", images);
    testing::put_file(dir_ / "l", labels);
  }
  testing::TempDir dir_;
  const std::string images_ =
      big_endian(0x803) + big_endian(2) + big_endian(2) + big_endian(3) + "abcdefghijkl";
  const std::string labels_ = big_endian(0x801) + big_endian(2) + std::string("\x09\x00", 2);
};

TEST_F(Idx, PlainAndGzip) {
  const at::Tensor want = torch::arange('a', 'm').to(torch::kUInt8).reshape({2, 1, 2, 3});
  for (const bool packed : {false, true}) {
    put(packed ? gzip(images_) : images_, packed ? gzip(labels_) : labels_);
    const ImageDataset set = load_idx("set", dir_ / "i", dir_ / "l");
    EXPECT_EQ(set.name, "set");
    EXPECT_EQ(set.classes, 10);
    EXPECT_THAT(set.images_u8, TensorEq(want));
    EXPECT_THAT(set.labels, TensorEq(torch::tensor({9, 0}, torch::kInt64)));
  }
}

TEST_F(Idx, CutAnywhereIsAnError) {
  for (const bool packed : {false, true}) {
    const std::string whole = packed ? gzip(images_) : images_;
    for (size_t length = 0; length < whole.size(); ++length) {
      put(whole.substr(0, length), labels_);
      load_error();
    }
  }
}

TEST_F(Idx, MagicsCountsAndLabelsAreChecked) {
  put(labels_, labels_);
  EXPECT_THAT(load_error(), HasSubstr("begins with 0x801, where an IDX file of images has 0x803"));
  put(images_, images_);
  EXPECT_THAT(load_error(), HasSubstr("of labels has 0x801"));
  put(images_ + "m", labels_);
  EXPECT_THAT(load_error(), HasSubstr("holds more bytes"));
  put(gzip(images_ + "m"), labels_);
  EXPECT_THAT(load_error(), HasSubstr("holds more bytes"));
  put(images_, big_endian(0x801) + big_endian(1) + "\x01");
  EXPECT_THAT(load_error(), HasSubstr("1 labels for the 2 images"));
  put(images_, big_endian(0x801) + big_endian(2) + "\x01\x0a");
  EXPECT_THAT(load_error(), HasSubstr("a label of 10"));
}

TEST_F(Idx, CountsAreBoundedBeforeMemoryIsTaken) {
  const std::string huge = big_endian(0x803) + big_endian(0xffffffff) + big_endian(4096) + big_endian(4096);
  put(huge, labels_);
  EXPECT_THAT(load_error(), HasSubstr("is cut short: its header asks for"));
  put(gzip(huge), labels_);
  EXPECT_THAT(load_error(), HasSubstr("is cut short: its header asks for"));
  put(big_endian(0x803) + big_endian(1) + big_endian(60000) + big_endian(1), labels_);
  EXPECT_THAT(load_error(), HasSubstr("a size of 60000"));
  put(big_endian(0x803) + big_endian(1) + big_endian(0) + big_endian(1), labels_);
  EXPECT_THAT(load_error(), HasSubstr("a size of 0"));
}

TEST_F(Idx, ADamagedGzipStreamIsAnError) {
  std::string packed = gzip(images_);
  packed[packed.size() - 6] = static_cast<char>(packed[packed.size() - 6] ^ 1);  // the checksum
  put(packed, labels_);
  EXPECT_THAT(load_error(), HasSubstr("the gzip stream is damaged"));
}

TEST_F(Idx, NamedSetsAreFound) {
  const testing::Environment home("DDPM_EVAL_HOME", dir_.path().string());
  EXPECT_THAT(message_of<DataError>([&] { load_mnist_like("mnist", Split::kTrain); }),
              HasSubstr("run 'ddpm-eval data fetch mnist'"));
  const auto folder = dir_ / "data/mnist";
  std::filesystem::create_directories(folder);
  testing::put_file(folder / "t10k-images-idx3-ubyte", images_);
  testing::put_file(folder / "t10k-labels-idx1-ubyte.gz", gzip(labels_));
  EXPECT_EQ(load_mnist_like("mnist", Split::kTest).name, "mnist:test");
  EXPECT_EQ(load_mnist_like("mnist", Split::kTest, folder).images_u8.size(0), 2);
  EXPECT_THAT(load_mnist_like("mnist", Split::kTest).notes,
              ::testing::ElementsAre("t10k-images-idx3-ubyte holds 2 images, the official file 10,000"));
  message_of<DataError>([&] { load_mnist_like("mnist", Split::kTrain); });
}

TEST(IdxFiles, DebiansFashionMnist) {
  if (!std::filesystem::exists("/usr/share/datasets/fashion-mnist")) {
    GTEST_SKIP() << "dataset-fashion-mnist is not installed";
  }
  const ImageDataset test =
      load_mnist_like("fashion-mnist", Split::kTest, "/usr/share/datasets/fashion-mnist");
  EXPECT_EQ(test.images_u8.sizes(), (std::vector<int64_t>{10000, 1, 28, 28}));
  EXPECT_THAT(test.notes, ::testing::IsEmpty());
  EXPECT_THAT(torch::bincount(test.labels), TensorEq(torch::full({10}, 1000, torch::kInt64)));
  EXPECT_NEAR(test.images_u8.to(torch::kFloat64).mean().item<double>() / 255, 0.2868, 1e-4);
}

}  // namespace
}  // namespace ddpm_eval::data
