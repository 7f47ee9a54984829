#include "base/core/file_io.h"
#include "base/data/sinks.h"
#include "tests/support/files.h"
#include "tests/support/idx_files.h"
#include "tests/support/program.h"
#include "tests/support/records.h"
#include "tests/support/tar_bytes.h"
#include "tests/support/temp_dir.h"

#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <torch/types.h>

// What kinds of sources give through the program.
namespace ddpm_eval {
namespace {

namespace fs = std::filesystem;

using nlohmann::json;
using ::testing::AllOf;
using ::testing::Contains;
using testing::error_line;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::record_of;
using testing::run_program;
using testing::TarEntry;

const std::string kNoise = "gaussian-noise:28x28x1?num=200&seed=1";

class Sources : public ::testing::Test {
 protected:
  std::string path(const std::string& name) const { return (dir_ / name).string(); }

  /// A folder of images 28 x 28, all different.
  void put_noise(const std::string& name, int64_t count) {
    const auto sink = data::make_png_folder_sink(dir_ / name);
    sink->write(torch::randint(0, 256, {count, 3, 28, 28}, torch::kUInt8));
    sink->finish();
  }

  static json fid(const std::string& real, const std::string& fake,
                  const std::string& net = "fashion-mnist-small") {
    return record_of({"fid", "--real", real, "--fake", fake, "--features", net});
  }

  testing::TempDir dir_;
};

TEST_F(Sources, ATarOfImagesIsScoredAsItsFolder) {
  put_noise("images", 20);
  std::vector<TarEntry> entries;
  for (const auto& entry : fs::directory_iterator(dir_ / "images")) {  // in no order
    entries.push_back({"images/" + entry.path().filename().string(), core::read_text(entry.path())});
  }
  const auto want = fid(kNoise, path("images"));
  for (const char* name : {"images.tar", "images.tgz"}) {
    testing::put_tar(dir_ / name, entries);
    const auto record = fid(kNoise, path(name));
    EXPECT_EQ(record["metrics"], want["metrics"]) << name;
    EXPECT_EQ(record["fake"]["count"], 20);
    const auto refused = run_program({"fid", "--real", kNoise, "--fake", path(name), "--features",
                                      "fashion-mnist-small", "--json", path(name)});
    EXPECT_EQ(refused.exit_code, 2) << "the record would replace what is scored";
  }
  fs::resize_file(dir_ / "images.tar", 3000);
  const auto damaged = run_program(
      {"fid", "--real", kNoise, "--fake", path("images.tar"), "--features", "fashion-mnist-small"});
  EXPECT_EQ(damaged.exit_code, 3);
  EXPECT_THAT(error_line(damaged), HasSubstr("images.tar: damaged archive: "));
}

TEST_F(Sources, AnArchiveOfCifar10IsScoredAsTheUnpackedSet) {
  std::vector<TarEntry> entries;
  fs::create_directory(dir_ / "unpacked");
  for (const std::string name : {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                 "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"}) {
    const at::Tensor records = torch::randint(0, 256, {10, 3073}, torch::kUInt8);
    records.select(1, 0).copy_(torch::arange(10));
    const std::string bytes(static_cast<const char*>(records.data_ptr()), records.nbytes());
    testing::put_file(dir_ / "unpacked" / name, bytes);
    entries.push_back({"cifar-10-batches-bin/" + name, bytes});
  }
  testing::put_tar(dir_ / "cifar-10-binary.tar.gz", entries);
  const auto archive = path("cifar-10-binary.tar.gz"), net = path("net.safetensors");
  const auto trained = run_program({"features", "train", "--data", archive, "--test", archive + "?split=test",
                                    "--out", net, "--width", "8", "--batch-size", "10", "--steps", "1"});
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  const auto folder = path("unpacked");
  const auto record = fid(archive, archive + "?split=test", net);
  EXPECT_EQ(record["metrics"], fid("cifar10:train@" + folder, "cifar10:test@" + folder, net)["metrics"]);
  EXPECT_EQ(record["real"]["count"], 50);
  EXPECT_EQ(record["fake"]["resolved"], "cifar10:test@" + archive + "?split=test");
  EXPECT_THAT(record["fake"]["notes"], Contains("test_batch.bin holds 10 images, the official file 10,000"));
}

TEST_F(Sources, LossyFilesOnOneSideAndCopiesAreNoted) {
  // A network for the size that the photograph has.
  const std::string pixels(20 * 13 * 13, '\x55'), labels(20, '\x01');
  for (const std::string part : {"train", "t10k"}) {
    testing::put_file(dir_ / (part + "-images-idx3-ubyte"), testing::idx_header({20, 13, 13}) + pixels);
    testing::put_file(dir_ / (part + "-labels-idx1-ubyte"), testing::idx_header({20}) + labels);
  }
  const auto data = dir_.path().string(), net = path("net.safetensors");
  const auto trained =
      run_program({"features", "train", "--data", "mnist:train@" + data, "--test", "mnist:test@" + data,
                   "--out", net, "--width", "8", "--batch-size", "10", "--steps", "1"});
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  put_noise("png", 5);
  fs::create_directory(dir_ / "jpeg");
  const auto photo = core::read_text(testing::source_dir() / "tests/golden/images/colour.jpg");
  for (const char* name : {"1.jpg", "2.jpg", "3.jpg"}) {
    testing::put_file(dir_ / "jpeg" / name, photo);
  }
  fs::copy_file(dir_ / "png/000000.png", dir_ / "jpeg/4.png");

  const auto png = path("png") + "?crop=center&side=13", jpeg = path("jpeg") + "?crop=center&side=13";
  const std::string unlike =
      "0 of 5 real images and 3 of 4 fake ones come from lossy files (JPEG or lossy WebP)";
  const std::string copies = "2 of 4 images are pixel for pixel the same as an earlier one";
  const auto record = fid(png, jpeg, net);
  EXPECT_THAT(record["notes"], Contains(HasSubstr(unlike)));
  EXPECT_EQ(record["fake"]["lossy"], 3);
  EXPECT_EQ(record["real"]["lossy"], 0);
  EXPECT_THAT(record["fake"]["notes"], Contains(copies));
  EXPECT_THAT(record["real"]["notes"], Not(Contains(HasSubstr("pixel for pixel"))));
  EXPECT_THAT(fid(jpeg, jpeg, net)["notes"], Not(Contains(HasSubstr("lossy"))));
  const auto told = run_program({"fid", "--real", png, "--fake", jpeg, "--features", net});
  EXPECT_THAT(told.err, AllOf(HasSubstr("note: " + unlike), HasSubstr("note: fake: " + copies)));

  // Statistics say what their images came from.
  const auto statistics = path("stats.npz");
  ASSERT_EQ(run_program({"stats", "--data", jpeg, "--out", statistics, "--features", net}).exit_code, 0);
  EXPECT_THAT(fid(statistics, png, net)["notes"],
              Contains(HasSubstr("3 of 4 real images and 0 of 5 fake ones come from lossy files")));
  const auto other = path("other.npz"), merged = path("merged.npz"), features = path("features.safetensors");
  ASSERT_EQ(run_program({"stats", "--data", png, "--out", other, "--features", net}).exit_code, 0);
  ASSERT_EQ(run_program({"stats", "merge", statistics, other, "--out", merged}).exit_code, 0);
  EXPECT_THAT(fid(merged, png, net)["notes"],
              Contains(HasSubstr("3 of 9 real images and 0 of 5 fake ones come from lossy files")));
  ASSERT_EQ(run_program({"stats", "--data", jpeg, "--features-out", features, "--features", net}).exit_code,
            0);
  EXPECT_THAT(fid(features, png, net)["notes"],
              Contains(HasSubstr("3 of 4 real images and 0 of 5 fake ones come from lossy files")));
}

}  // namespace
}  // namespace ddpm_eval
