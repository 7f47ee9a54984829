#include "base/data/cifar10.h"

#include "base/core/error.h"
#include "base/core/paths.h"
#include "tests/support/environment.h"
#include "tests/support/errors.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tensor_matchers.h"

namespace ddpm_eval::data {
namespace {

using core::DataError;
using ::testing::HasSubstr;
using testing::message_of;
using testing::TensorEq;

/// One record: a label, then planes filled with red, green and blue.
std::string record(int label, int red, int green, int blue) {
  std::string bytes(1, static_cast<char>(label));
  for (const int value : {red, green, blue}) {
    bytes.append(1024, static_cast<char>(value));
  }
  return bytes;
}

class Cifar10 : public ::testing::Test {
 protected:
  Cifar10() {
    folder_ = dir_ / "cifar-10-batches-bin";
    std::filesystem::create_directory(folder_);
    for (int i = 1; i <= 5; ++i) {
      testing::put_file(folder_ / fmt::format("data_batch_{}.bin", i),
                        record(i, 10 * i, 20, 30) + record(0, 1, 2, 3));
    }
    testing::put_file(folder_ / "test_batch.bin", record(9, 200, 201, 202));
  }
  std::string error(Split split = Split::kTrain) {
    return message_of<DataError>([&] { load_cifar10(folder_, split); });
  }
  testing::TempDir dir_;
  std::filesystem::path folder_;
};

TEST_F(Cifar10, BatchesFollowOneAnotherInPlanarRgb) {
  const ImageDataset train = load_cifar10(folder_, Split::kTrain);
  EXPECT_EQ(train.name, "cifar10:train");
  EXPECT_EQ(train.classes, 10);
  ASSERT_EQ(train.class_names.size(), 10U);
  EXPECT_EQ(train.class_names[3], "cat");
  EXPECT_EQ(train.images_u8.sizes(), (std::vector<int64_t>{10, 3, 32, 32}));
  EXPECT_THAT(train.labels, TensorEq(torch::tensor({1, 0, 2, 0, 3, 0, 4, 0, 5, 0}, torch::kInt64)));
  EXPECT_THAT(train.images_u8.select(2, 31).select(2, 31).narrow(0, 0, 3),
              TensorEq(torch::tensor({{10, 20, 30}, {1, 2, 3}, {20, 20, 30}}, torch::kUInt8)));
  const ImageDataset test = load_cifar10(folder_, Split::kTest);
  EXPECT_EQ(test.name, "cifar10:test");
  EXPECT_EQ(test.images_u8.size(0), 1);
  EXPECT_EQ(test.labels[0].item<int>(), 9);
}

TEST_F(Cifar10, PixelsAreRowMajor) {
  std::string bytes = record(0, 0, 0, 0);
  bytes[1 + 1024 + 32 * 5 + 7] = 77;  // green, row 5, column 7
  testing::put_file(folder_ / "test_batch.bin", bytes);
  EXPECT_EQ(load_cifar10(folder_, Split::kTest).images_u8[0][1][5][7].item<int>(), 77);
}

TEST_F(Cifar10, IsFoundBelowTheFolderAndInTheHome) {
  EXPECT_TRUE(is_cifar10_folder(dir_.path()));
  EXPECT_TRUE(is_cifar10_folder(folder_));
  EXPECT_EQ(load_cifar10(dir_.path(), Split::kTest).images_u8.size(0), 1);
  const testing::Environment home("DDPM_EVAL_HOME", (dir_ / "home").string());
  EXPECT_THAT(message_of<DataError>([&] { load_cifar10({}, Split::kTrain); }),
              HasSubstr("home/data/cifar-10-batches-bin; run 'ddpm-eval data fetch cifar10'"));
  std::filesystem::create_directories(dir_ / "home/data");
  std::filesystem::rename(folder_, dir_ / "home/data/cifar-10-batches-bin");
  EXPECT_EQ(load_cifar10({}, Split::kTrain).images_u8.size(0), 10);
}

TEST_F(Cifar10, ACutBatchIsAnError) {
  testing::put_file(folder_ / "data_batch_3.bin", record(1, 2, 3, 4) + record(1, 2, 3, 4).substr(0, 3072));
  EXPECT_THAT(error(), HasSubstr("data_batch_3.bin: 6145 bytes are no whole number of records of 3073"));
  testing::put_file(folder_ / "data_batch_3.bin", "");
  EXPECT_THAT(error(), HasSubstr("0 bytes"));
  std::filesystem::remove(folder_ / "data_batch_3.bin");
  EXPECT_THAT(error(), HasSubstr("data_batch_3.bin: is missing; run 'ddpm-eval data fetch cifar10'"));
}

TEST_F(Cifar10, ALabelAboveNineIsAnError) {
  testing::put_file(folder_ / "test_batch.bin", record(0, 1, 1, 1) + record(10, 1, 1, 1));
  EXPECT_THAT(error(Split::kTest), HasSubstr("test_batch.bin: label 10 in record 1"));
}

TEST_F(Cifar10, ABatchOfAnotherCountIsNoted) {
  const auto notes = load_cifar10(folder_, Split::kTrain).notes;
  ASSERT_EQ(notes.size(), 5U);
  EXPECT_EQ(notes[2], "data_batch_3.bin holds 2 records, the official file 10,000");
  std::string whole;
  for (int i = 0; i < 10'000; ++i) {
    whole += record(i % 10, 1, 2, 3);
  }
  testing::put_file(folder_ / "test_batch.bin", whole);
  EXPECT_TRUE(load_cifar10(folder_, Split::kTest).notes.empty());
}

TEST_F(Cifar10, AnotherFolderIsNamed) {
  std::filesystem::create_directory(dir_ / "empty");
  EXPECT_THAT(message_of<DataError>([&] { load_cifar10(dir_ / "empty", Split::kTrain); }),
              HasSubstr("empty: no CIFAR-10 in it"));
}

TEST_F(Cifar10, TheWholeSetHasItsCounts) {
  const auto folder = core::data_candidates("cifar-10-batches-bin").front();
  if (!is_cifar10_folder(folder)) {
    GTEST_SKIP() << "no CIFAR-10 at " << folder;
  }
  const auto train = load_cifar10({}, Split::kTrain);
  EXPECT_EQ(train.images_u8.sizes(), (std::vector<int64_t>{50000, 3, 32, 32}));
  EXPECT_TRUE(torch::equal(torch::bincount(train.labels), torch::full({10}, 5000, torch::kInt64)));
  const auto test = load_cifar10({}, Split::kTest);
  EXPECT_EQ(test.images_u8.size(0), 10000);
}

}  // namespace
}  // namespace ddpm_eval::data
