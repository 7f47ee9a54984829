#include "base/data/known_content.h"

#include "base/core/digest.h"
#include "base/core/error.h"
#include "base/data/cifar10_format.h"

#include <algorithm>
#include <numeric>

namespace ddpm_eval::data {
namespace {

constexpr int64_t kMnistSide = 28;

/// The sums of the official training pixels, red, green, blue: the widely published means 125.306918046875,
/// 122.950394140625 and 113.86538318359375 times 50,000 x 1,024, which gives whole numbers.
constexpr std::array<uint64_t, 3> kOfficialSums = {6'415'714'204, 6'295'060'180, 5'829'907'619};

struct CifarTally {
  std::array<int64_t, kCifar10Classes> labels{};
  std::array<uint64_t, 3> sums{};
};

void tally_batch(const std::filesystem::path& path, const Cifar10Layout& layout, CifarTally& tally) {
  const auto records = read_cifar10_batch(path);
  const auto count = static_cast<int64_t>(records.size()) / kCifar10Record;
  if (count != layout.records) {
    throw core::DataError("{}: {} records where {} are expected", path.string(), count, layout.records);
  }
  for (int64_t record = 0; record < count; ++record) {
    const auto* at = reinterpret_cast<const uint8_t*>(records.data()) + record * kCifar10Record;
    ++tally.labels[*at];
    for (int64_t colour = 0; colour < 3; ++colour) {
      const auto* plane = at + 1 + colour * kCifar10Plane;
      tally.sums[static_cast<size_t>(colour)] += std::accumulate(plane, plane + kCifar10Plane, uint64_t{0});
    }
  }
}

void expect_balanced(const std::filesystem::path& folder, const CifarTally& tally, int64_t each,
                     const char* split) {
  for (int64_t label = 0; label < kCifar10Classes; ++label) {
    const int64_t count = tally.labels[static_cast<size_t>(label)];
    if (count != each) {
      throw core::DataError("{}: class {} has {} {} images where CIFAR-10 has {}", folder.string(), label,
                            count, split, each);
    }
  }
}

void expect_shape(const std::string& path, const IdxFile& file, const std::vector<int64_t>& shape) {
  if (shape[0] != file.count) {
    throw core::DataError("{}: {} entries where {} are expected", path, shape[0], file.count);
  }
  if (file.kind == IdxKind::kImages && (shape[1] != kMnistSide || shape[2] != kMnistSide)) {
    throw core::DataError("{}: images of {} x {} pixels where {} x {} are expected", path, shape[2], shape[1],
                          kMnistSide, kMnistSide);
  }
}

}  // namespace

std::vector<ArchiveMember> cifar10_members(const Cifar10Layout& layout) {
  const auto bytes = static_cast<uint64_t>(layout.records * kCifar10Record);
  std::vector<ArchiveMember> members;
  for (const auto split : {Split::kTrain, Split::kTest}) {
    for (const auto& name : cifar10_batches(split)) {
      members.push_back({name, bytes, bytes});
    }
  }
  members.push_back({"batches.meta.txt", 0, 4096, false});
  return members;
}

std::string verify_cifar10(const std::filesystem::path& folder, const Cifar10Layout& layout) {
  CifarTally train;
  for (const auto& name : cifar10_batches(Split::kTrain)) {
    tally_batch(folder / name, layout, train);
  }
  expect_balanced(folder, train, layout.records / 2, "training");
  CifarTally test;
  tally_batch(folder / cifar10_batches(Split::kTest).front(), layout, test);
  expect_balanced(folder, test, layout.records / kCifar10Classes, "test");
  return train.sums == kOfficialSums
             ? "the official training pixels"
             : "complete, but not the official pixels: scores differ from published ones";
}

const IdxSet& mnist_files() {
  static const IdxSet files = {{{"train-images-idx3-ubyte", Split::kTrain, IdxKind::kImages, 60'000,
                                 "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"},
                                {"train-labels-idx1-ubyte", Split::kTrain, IdxKind::kLabels, 60'000,
                                 "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"},
                                {"t10k-images-idx3-ubyte", Split::kTest, IdxKind::kImages, 10'000,
                                 "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"},
                                {"t10k-labels-idx1-ubyte", Split::kTest, IdxKind::kLabels, 10'000,
                                 "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"}}};
  return files;
}

const IdxSet& fashion_mnist_files() {
  // Debian's dataset-fashion-mnist unpacks to the same bytes as the archives of Zalando Research.
  static const IdxSet files = {{{"train-images-idx3-ubyte", Split::kTrain, IdxKind::kImages, 60'000,
                                 "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"},
                                {"train-labels-idx1-ubyte", Split::kTrain, IdxKind::kLabels, 60'000,
                                 "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"},
                                {"t10k-images-idx3-ubyte", Split::kTest, IdxKind::kImages, 10'000,
                                 "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"},
                                {"t10k-labels-idx1-ubyte", Split::kTest, IdxKind::kLabels, 10'000,
                                 "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"}}};
  return files;
}

std::string verify_idx(const std::filesystem::path& path, const IdxFile& file) {
  GzReader reader(path);
  const auto header = read_idx_header(reader, file.kind);
  expect_shape(path.string(), file, header.shape);
  core::Sha256 digest;
  digest.update(header.header.data(), header.header.size());
  std::vector<uint8_t> buffer(1 << 17);
  for (uint64_t left = header.payload_bytes; left > 0;) {
    const size_t count = std::min<uint64_t>(left, buffer.size());
    reader.read_exactly(buffer.data(), count);
    if (file.kind == IdxKind::kLabels) {
      check_idx_labels(path.string(), {buffer.data(), count});
    }
    digest.update(buffer.data(), count);
    left -= count;
  }
  reader.expect_end();  // also compares gzip's checksum
  return digest.finish();
}

std::filesystem::path find_idx(const std::filesystem::path& folder, const IdxFile& file) {
  for (const char* suffix : {"", ".gz"}) {
    const auto path = folder / (std::string(file.name) + suffix);
    if (std::error_code error; std::filesystem::is_regular_file(path, error)) {
      return path;
    }
  }
  return {};
}

}  // namespace ddpm_eval::data
