#include "base/data/known_content.h"

#include "base/core/digest.h"
#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/data/gz_reader.h"

#include <algorithm>
#include <numeric>

namespace ddpm_eval::data {
namespace {

constexpr int kClasses = 10;
constexpr int64_t kPlane = 1024;
constexpr int64_t kRecord = 1 + 3 * kPlane;
constexpr std::array<std::string_view, 5> kTrainBatches = {
    "data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"};
constexpr std::string_view kTestBatch = "test_batch.bin";

/// The sums of the official training pixels, red, green, blue: the widely published means 125.306918046875,
/// 122.950394140625 and 113.86538318359375 times 50,000 x 1,024, which gives whole numbers.
constexpr std::array<uint64_t, 3> kOfficialSums = {6'415'714'204, 6'295'060'180, 5'829'907'619};

struct CifarTally {
  std::array<int64_t, kClasses> labels{};
  std::array<uint64_t, 3> sums{};
};

void tally_batch(const std::filesystem::path& path, const Cifar10Layout& layout, CifarTally& tally) {
  const auto wanted = static_cast<uint64_t>(layout.records * kRecord);
  const auto bytes = core::read_file(path, wanted);
  if (bytes.size() != wanted) {
    throw core::DataError("{}: {} bytes where {} records of {} are expected; it is cut short", path.string(),
                          bytes.size(), layout.records, kRecord);
  }
  for (int64_t record = 0; record < layout.records; ++record) {
    const auto* at = reinterpret_cast<const uint8_t*>(bytes.data()) + record * kRecord;
    if (*at >= kClasses) {
      throw core::DataError("{}: record {} has label {}, beyond 9", path.string(), record, *at);
    }
    ++tally.labels[*at];
    for (int64_t colour = 0; colour < 3; ++colour) {
      const auto* plane = at + 1 + colour * kPlane;
      tally.sums[static_cast<size_t>(colour)] += std::accumulate(plane, plane + kPlane, uint64_t{0});
    }
  }
}

void expect_balanced(const std::filesystem::path& folder, const CifarTally& tally, int64_t each,
                     const char* split) {
  for (int label = 0; label < kClasses; ++label) {
    const int64_t count = tally.labels[static_cast<size_t>(label)];
    if (count != each) {
      throw core::DataError("{}: class {} has {} {} images where CIFAR-10 has {}", folder.string(), label,
                            count, split, each);
    }
  }
}

uint32_t big_endian(const uint8_t* bytes) {
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | uint32_t{bytes[3]};
}

/// Magic number, then one length per dimension (LeCun's idx format).
void check_idx_header(const std::string& path, const IdxFile& file, const std::vector<uint8_t>& header) {
  const uint32_t magic = file.images ? 0x803 : 0x801;
  if (big_endian(header.data()) != magic) {
    throw core::DataError("{}: not an idx file of {}", path, file.images ? "images" : "labels");
  }
  if (big_endian(&header[4]) != file.count) {
    throw core::DataError("{}: {} entries where {} are expected", path, big_endian(&header[4]), file.count);
  }
  if (file.images && (big_endian(&header[8]) != 28 || big_endian(&header[12]) != 28)) {
    throw core::DataError("{}: images of {} x {} pixels where 28 x 28 are expected", path,
                          big_endian(&header[12]), big_endian(&header[8]));
  }
}

}  // namespace

std::vector<ArchiveMember> cifar10_members(const Cifar10Layout& layout) {
  const auto bytes = static_cast<uint64_t>(layout.records * kRecord);
  std::vector<ArchiveMember> members;
  for (const auto name : kTrainBatches) {
    members.push_back({std::string(name), bytes, bytes});
  }
  members.push_back({std::string(kTestBatch), bytes, bytes});
  members.push_back({"batches.meta.txt", 0, 4096, false});
  return members;
}

std::string verify_cifar10(const std::filesystem::path& folder, const Cifar10Layout& layout) {
  CifarTally train;
  for (const auto name : kTrainBatches) {
    tally_batch(folder / name, layout, train);
  }
  expect_balanced(folder, train, layout.records / 2, "training");
  CifarTally test;
  tally_batch(folder / kTestBatch, layout, test);
  expect_balanced(folder, test, layout.records / kClasses, "test");
  return train.sums == kOfficialSums
             ? "the official training pixels"
             : "complete, but not the official pixels: scores differ from published ones";
}

const IdxSet& mnist_files() {
  static const IdxSet files = {{{"train-images-idx3-ubyte", true, 60'000,
                                 "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"},
                                {"train-labels-idx1-ubyte", false, 60'000,
                                 "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"},
                                {"t10k-images-idx3-ubyte", true, 10'000,
                                 "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"},
                                {"t10k-labels-idx1-ubyte", false, 10'000,
                                 "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"}}};
  return files;
}

const IdxSet& fashion_mnist_files() {
  // Of the files in Debian's dataset-fashion-mnist.
  static const IdxSet files = {{{"train-images-idx3-ubyte", true, 60'000,
                                 "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"},
                                {"train-labels-idx1-ubyte", false, 60'000,
                                 "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"},
                                {"t10k-images-idx3-ubyte", true, 10'000,
                                 "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"},
                                {"t10k-labels-idx1-ubyte", false, 10'000,
                                 "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"}}};
  return files;
}

bool verify_idx(const std::filesystem::path& path, const IdxFile& file) {
  GzReader reader(path);
  core::Sha256 digest;
  std::vector<uint8_t> header(file.images ? 16 : 8);
  if (reader.read(header.data(), header.size()) != header.size()) {
    throw core::DataError("{}: too short for an idx file", path.string());
  }
  check_idx_header(path.string(), file, header);
  digest.update(header.data(), header.size());

  uint64_t left = uint64_t{file.count} * (file.images ? 28 * 28 : 1);
  std::vector<uint8_t> buffer(1 << 17);
  while (left > 0) {
    const size_t got = reader.read(buffer.data(), std::min<uint64_t>(left, buffer.size()));
    if (got == 0) {
      throw core::DataError("{}: cut short: {} bytes are missing", path.string(), left);
    }
    const auto* wrong = file.images ? nullptr
                                    : std::find_if(buffer.data(), buffer.data() + got,
                                                   [](uint8_t label) { return label >= kClasses; });
    if (wrong != nullptr && wrong != buffer.data() + got) {
      throw core::DataError("{}: a label is {}, beyond 9", path.string(), *wrong);
    }
    digest.update(buffer.data(), got);
    left -= got;
  }
  if (reader.read(buffer.data(), 1) != 0) {  // also compares gzip's checksum
    throw core::DataError("{}: has bytes beyond its last entry", path.string());
  }
  return digest.finish() == file.sha256;
}

std::filesystem::path find_idx(const std::filesystem::path& folder, const IdxFile& file) {
  for (const char* suffix : {"", ".gz"}) {
    const auto path = folder / (std::string(file.name) + suffix);
    if (std::filesystem::is_regular_file(path)) {
      return path;
    }
  }
  return {};
}

}  // namespace ddpm_eval::data
