#include "base/data/catalogue.h"

#include "base/core/digest.h"
#include "base/core/file_io.h"
#include "base/data/catalogue_items.h"
#include "tests/support/archives.h"
#include "tests/support/errors.h"
#include "tests/support/loopback_server.h"
#include "tests/support/temp_dir.h"

#include <chrono>
#include <cstdlib>

#include <gmock/gmock.h>
#include <zlib.h>

namespace ddpm_eval::data {
namespace {

using core::DataError;
using ::testing::AllOf;
using testing::Answer;
using ::testing::HasSubstr;
using testing::LoopbackServer;
using testing::message_of;
using testing::ServedRequest;
using testing::TempDir;

class Catalogue : public ::testing::Test {
 protected:
  Catalogue() {
    ::setenv("DDPM_EVAL_HOME", home_.path().c_str(), 1);
    ::setenv("no_proxy", "127.0.0.1", 1);
  }
  ~Catalogue() override { ::unsetenv("DDPM_EVAL_HOME"); }

  FetchOptions from(const std::string& mirror) const {
    FetchOptions options;
    options.mirror = mirror;
    options.patience.attempts = 1;
    return options;
  }

  TempDir home_;
};
using SlowCatalogue = Catalogue;

TEST_F(Catalogue, ListsItsShelves) {
  std::vector<std::string> names;
  for (const auto& item : catalogue(Shelf::kData)) {
    names.push_back(item.name);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"cifar10", "fashion-mnist", "mnist"}));
  ASSERT_EQ(catalogue(Shelf::kWeights).size(), 1U);
  EXPECT_EQ(catalogue(Shelf::kWeights)[0].name, "inception-fid");
  EXPECT_THAT(message_of<core::UsageError>([] { inspect(Shelf::kData, "cifar01", Depth::kSizes); }),
              AllOf(HasSubstr("'cifar01' is not known here; there is cifar10, fashion-mnist, mnist"),
                    HasSubstr("did you mean 'cifar10'?")));
}

TEST_F(Catalogue, SaysWhatIsMissing) {
  const auto weights = inspect(Shelf::kWeights, "inception-fid", Depth::kContent);
  EXPECT_EQ(weights.state, ItemState::kMissing);
  EXPECT_EQ(weights.path, home_ / "weights/pt_inception-2015-12-05-6726825d.pth");
  const auto cifar = inspect(Shelf::kData, "cifar10", Depth::kContent);
  EXPECT_EQ(cifar.state, ItemState::kMissing);
  EXPECT_EQ(cifar.path, home_ / "data/cifar-10-batches-bin");
}

TEST_F(Catalogue, SaysWhatIsDamaged) {
  core::make_folders(home_ / "weights");
  const auto weights = home_ / "weights/pt_inception-2015-12-05-6726825d.pth";
  core::write_file(weights, "short");
  EXPECT_THAT(inspect(Shelf::kWeights, "inception-fid", Depth::kSizes).note, HasSubstr("95628359 bytes"));
  std::filesystem::resize_file(weights, 95'628'359);
  EXPECT_EQ(inspect(Shelf::kWeights, "inception-fid", Depth::kSizes).state, ItemState::kPresent);
  core::make_folders(home_ / "data/cifar-10-batches-bin");
  EXPECT_EQ(inspect(Shelf::kData, "cifar10", Depth::kContent).state, ItemState::kMissing)
      << "an empty folder is nothing";
  core::write_file(home_ / "data/cifar-10-batches-bin/test_batch.bin", "x");
  const auto cifar = inspect(Shelf::kData, "cifar10", Depth::kContent);
  EXPECT_EQ(cifar.state, ItemState::kDamaged);
  EXPECT_THAT(cifar.note, HasSubstr("data_batch_1.bin is missing"));
}

TEST_F(SlowCatalogue, WeightsOfTheRightSizeMustHaveTheRightHash) {
  core::make_folders(home_ / "weights");
  const auto weights = home_ / "weights/pt_inception-2015-12-05-6726825d.pth";
  core::write_file(weights, "x");
  std::filesystem::resize_file(weights, 95'628'359);
  const auto status = inspect(Shelf::kWeights, "inception-fid", Depth::kContent);
  EXPECT_EQ(status.state, ItemState::kDamaged);
  EXPECT_THAT(status.note, HasSubstr("its SHA-256 is "));
}

TEST_F(Catalogue, WeightsComeFromTheMirrorAndAreRefusedIfWrong) {
  const LoopbackServer server([](const ServedRequest&, int) {
    Answer answer;
    answer.body = "not weights";
    return answer;
  });
  EXPECT_THAT(message_of<DataError>(
                  [&] { fetch_item(Shelf::kWeights, "inception-fid", from(server.url("mirror/"))); }),
              HasSubstr("has a file of 11 bytes where 95628359 are expected"));
  EXPECT_EQ(server.requests().at(0).path, "/mirror/pt_inception-2015-12-05-6726825d.pth");
  EXPECT_FALSE(std::filesystem::exists(home_ / "weights/pt_inception-2015-12-05-6726825d.pth"));
}

/// A set like MNIST of a few images, whose official bytes are those in the mirror.
class FetchedIdxSet : public Catalogue {
 protected:
  FetchedIdxSet() {
    for (size_t i = 0; i < set_.size(); ++i) {
      set_[i] = mnist_files()[i];
      set_[i].count = 3;
      const auto contents = bytes_of(set_[i], '\x05');
      sha256_[i] = core::sha256_hex(contents);
      set_[i].sha256 = sha256_[i];
      put(set_[i], contents);
    }
    options_ = from("file://" + mirror_.path().string());
    options_.progress = [this](const std::string& file) {
      shown_.push_back(file);
      return FetchProgress{};
    };
  }

  static std::string bytes_of(const IdxFile& file, char element) {
    const bool images = file.kind == IdxKind::kImages;
    const std::string sides = images ? std::string("\0\0\0\x1c\0\0\0\x1c", 8) : "";
    return std::string("\0\0\x08", 3) + (images ? '\x03' : '\x01') + std::string("\0\0\0\x03", 4) + sides +
           std::string(images ? 3U * 784U : 3U, element);
  }
  void put(const IdxFile& file, const std::string& contents) const {
    gzFile out = gzopen((mirror_ / (std::string(file.name) + ".gz")).c_str(), "wb1");
    gzwrite(out, contents.data(), static_cast<unsigned>(contents.size()));
    gzclose(out);
  }

  TempDir mirror_;
  IdxSet set_;
  std::array<std::string, 4> sha256_;
  FetchOptions options_;
  std::vector<std::string> shown_;
  const std::unique_ptr<Item> item_ = make_idx_item({"mnist", "a few images"}, set_, {});
};

TEST_F(FetchedIdxSet, IsFetchedFileByFile) {
  const auto status = fetch_item(*item_, options_);
  EXPECT_EQ(status.state, ItemState::kPresent);
  EXPECT_EQ(status.path, home_ / "data/mnist");
  EXPECT_EQ(status.note, "the official bytes");
  EXPECT_EQ(shown_.size(), 4U);

  // A damaged file alone is fetched again, and nothing once all is right.
  const auto labels = home_ / "data/mnist/t10k-labels-idx1-ubyte.gz";
  core::write_file(labels, core::read_text(labels).substr(0, 20));
  EXPECT_THAT(inspect_item(*item_, Depth::kContent).note, HasSubstr("the gzip stream is cut short"));
  shown_.clear();
  fetch_item(*item_, options_);
  EXPECT_EQ(shown_, std::vector<std::string>{"t10k-labels-idx1-ubyte.gz"});
  fetch_item(*item_, options_);
  EXPECT_EQ(shown_.size(), 1U);

  // A mirror with something else.
  std::filesystem::remove_all(home_ / "data/mnist");
  core::write_file(mirror_ / "train-images-idx3-ubyte.gz", "<html>");
  EXPECT_THAT(message_of<DataError>([&] { fetch_item(*item_, options_); }),
              HasSubstr("train-images-idx3-ubyte.gz: not fetched: file://"));
}

TEST_F(FetchedIdxSet, OtherBytesAreRefusedThoughTheirCountsAreRight) {
  const auto other = bytes_of(set_[3], '\x06');
  put(set_[3], other);
  EXPECT_THAT(message_of<DataError>([&] { fetch_item(*item_, options_); }),
              AllOf(HasSubstr("unpacked, its SHA-256 is " + core::sha256_hex(other)),
                    HasSubstr("the official t10k-labels-idx1-ubyte has " + sha256_[3])));
  EXPECT_FALSE(std::filesystem::exists(home_ / "data/mnist/t10k-labels-idx1-ubyte.gz"));
  EXPECT_TRUE(std::filesystem::exists(home_ / "data/mnist/train-labels-idx1-ubyte.gz"));

  // Brought by hand they are kept, and the file is named.
  std::filesystem::copy_file(mirror_ / "t10k-labels-idx1-ubyte.gz",
                             home_ / "data/mnist/t10k-labels-idx1-ubyte.gz");
  const auto status = inspect_item(*item_, Depth::kContent);
  EXPECT_EQ(status.state, ItemState::kPresent);
  EXPECT_EQ(status.note, "complete, but not the official bytes: t10k-labels-idx1-ubyte.gz");
}

/// cifar-10-binary.tar.gz with the official layout and black pixels.
void write_cifar_archive(const std::filesystem::path& path) {
  std::string batch(10'000 * 3073, '\0');
  for (size_t i = 0; i < 10'000; ++i) {
    batch[i * 3073] = static_cast<char>(i % 10);
  }
  std::vector<testing::ArchiveEntry> entries;
  for (const auto& member : cifar10_members()) {
    entries.push_back({"cifar-10-batches-bin/" + member.name, batch.substr(0, member.min_bytes)});
  }
  testing::write_archive(path, entries, "compression-level=1");
}

TEST_F(SlowCatalogue, Cifar10IsUnpackedAndTheArchiveGoes) {
  const TempDir mirror;
  write_cifar_archive(mirror / "cifar-10-binary.tar.gz");
  const auto status = fetch_item(Shelf::kData, "cifar10", from("file://" + mirror.path().string() + "/"));
  EXPECT_EQ(status.state, ItemState::kPresent);
  EXPECT_THAT(status.note, HasSubstr("not the official pixels"));
  EXPECT_TRUE(std::filesystem::exists(home_ / "data/cifar-10-batches-bin/batches.meta.txt"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(home_ / "data"), {}), 1)
      << "nothing is left over";
  // A batch cut short is damage, and fetching mends it.
  std::filesystem::resize_file(home_ / "data/cifar-10-batches-bin/test_batch.bin", 30'729'999);
  EXPECT_THAT(inspect(Shelf::kData, "cifar10", Depth::kSizes).note,
              HasSubstr("test_batch.bin is missing or has"));
  EXPECT_EQ(fetch_item(Shelf::kData, "cifar10", from("file://" + mirror.path().string())).state,
            ItemState::kPresent);
  // Without a network, the archive can be brought.
  std::filesystem::remove_all(home_ / "data/cifar-10-batches-bin");
  std::filesystem::rename(mirror / "cifar-10-binary.tar.gz", home_ / "data/cifar-10-binary.tar.gz");
  EXPECT_EQ(fetch_item(Shelf::kData, "cifar10", from("file:///nonexistent")).state, ItemState::kPresent);
  EXPECT_TRUE(std::filesystem::exists(home_ / "data/cifar-10-binary.tar.gz"));
}

TEST_F(Catalogue, AUsersArchiveThatIsNotTheOfficialOneIsRefusedAndKept) {
  std::filesystem::create_directories(home_ / "data");
  core::write_file(home_ / "data/cifar-10-binary.tar.gz", "a backup of mine");
  EXPECT_THAT(
      message_of<DataError>([&] { fetch_item(Shelf::kData, "cifar10", from("file:///nonexistent")); }),
      HasSubstr("data/cifar-10-binary.tar.gz: lies there and is not the official archive"));
  EXPECT_EQ(core::read_text(home_ / "data/cifar-10-binary.tar.gz"), "a backup of mine");
}

TEST_F(Catalogue, AnArchiveWithoutTheBatchesIsRefused) {
  const TempDir mirror;
  core::write_file(mirror / "cifar-10-binary.tar.gz", "");
  EXPECT_THAT(message_of<DataError>(
                  [&] { fetch_item(Shelf::kData, "cifar10", from("file://" + mirror.path().string())); }),
              HasSubstr("cifar-10-binary.tar.gz"));
  EXPECT_FALSE(std::filesystem::exists(home_ / "data/cifar-10-batches-bin"));
}

TEST_F(Catalogue, AnUnwritableHomeIsAResourceError) {
  core::write_file(home_ / "weights", "a file in the way");
  EXPECT_THAT(message_of<core::ResourceError>(
                  [&] { fetch_item(Shelf::kWeights, "inception-fid", from("http://127.0.0.1:1")); }),
              HasSubstr("weights"));
}

}  // namespace
}  // namespace ddpm_eval::data
