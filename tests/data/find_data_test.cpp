#include "base/data/find_data.h"

#include "base/data/catalogue.h"
#include "base/data/idx.h"
#include "tests/support/environment.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"

#include <gmock/gmock.h>

namespace ddpm_eval::data {
namespace {

namespace fs = std::filesystem;

using testing::TempDir;

class FindData : public ::testing::Test {
 protected:
  /// Empty files: finding looks at names alone.
  void put(const std::string& place, const std::vector<std::string>& names) {
    fs::create_directories(dir_ / place);
    for (const auto& name : names) {
      testing::put_file(dir_ / place / name, "");
    }
  }
  std::vector<fs::path> places() const { return {dir_ / "home", dir_ / "package"}; }
  std::string idx(Split split) const {
    const auto found = find_idx_set(places(), mnist_files(), split);
    return found ? found->filename().string() : "";
  }

  TempDir dir_;
  const std::vector<std::string> train_ = {"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte"};
  const std::vector<std::string> test_ = {"t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"};
};

TEST_F(FindData, ACompleteCopyGoesBeforeAPartOfOne) {
  EXPECT_EQ(idx(Split::kTrain), "");
  put("home", {"notes.txt"});
  EXPECT_EQ(idx(Split::kTrain), "");
  put("home", {test_[0]});
  EXPECT_EQ(idx(Split::kTrain), "home") << "to say what is missing there";
  put("package", train_);
  EXPECT_EQ(idx(Split::kTrain), "package");
  EXPECT_EQ(idx(Split::kTest), "home");
  put("package", test_);
  EXPECT_EQ(idx(Split::kTest), "package");
  put("home", test_);
  EXPECT_EQ(idx(Split::kTest), "package") << "both splits come from one copy";
  put("home", train_);
  EXPECT_EQ(idx(Split::kTrain), "home");
}

TEST_F(FindData, Cifar10IsInThePlaceOrInItsFolderThere) {
  EXPECT_FALSE(find_cifar10(places()));
  put("home", {"test_batch.bin"});
  EXPECT_EQ(find_cifar10(places()), dir_ / "home");
  const fs::path unpacked = dir_ / "package/cifar-10-batches-bin";
  put("package/cifar-10-batches-bin", cifar10_batches(Split::kTrain));
  EXPECT_EQ(find_cifar10(places()), unpacked);
  EXPECT_EQ(find_cifar10(places(), Split::kTest), dir_ / "home");
  put("package/cifar-10-batches-bin", cifar10_batches(Split::kTest));
  EXPECT_EQ(find_cifar10(places(), Split::kTest), unpacked);
}

TEST_F(FindData, TheCopyThatIsListedIsTheOneThatIsRead) {
  const fs::path debian = "/usr/share/datasets/fashion-mnist";
  if (!fs::is_directory(debian)) {
    GTEST_SKIP() << "dataset-fashion-mnist is not installed";
  }
  const testing::Environment home("DDPM_EVAL_HOME", (dir_ / "home").string());
  put("home/data/fashion-mnist", test_);
  const auto status = inspect(Shelf::kData, "fashion-mnist", Depth::kSizes);
  EXPECT_EQ(status.state, ItemState::kPresent);
  EXPECT_EQ(status.path, debian);
  EXPECT_EQ(load_mnist_like("fashion-mnist", Split::kTest).images_u8.size(0), 10'000);
}

}  // namespace
}  // namespace ddpm_eval::data
