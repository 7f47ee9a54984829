#pragma once

#include "base/data/archive.h"
#include "base/data/cifar10_format.h"
#include "base/data/idx_format.h"

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

// What the well-known data sets hold, so that a copy can be judged by its content: mirrors repack archives,
// and then their checksums differ though every image is the same.
namespace ddpm_eval::data {

struct Cifar10Layout {
  int64_t records = kCifar10BatchRecords;  ///< in each file; other counts serve tests
};

/// The six batch files, and the list of class names, which may be absent.
std::vector<ArchiveMember> cifar10_members(const Cifar10Layout& layout = {});

/// Checks that `folder` holds the six files in their exact sizes with labels 0..9, each equally often in the
/// five training files together and in the test file. Returns whether the pixels are the official ones, in
/// words: known from the sums of each colour over the training images. Throws DataError.
std::string verify_cifar10(const std::filesystem::path& folder, const Cifar10Layout& layout = {});

/// One file of an MNIST-style set.
struct IdxFile {
  std::string_view name;  ///< "train-images-idx3-ubyte", on disk plain or with .gz
  Split split = Split::kTrain;
  IdxKind kind = IdxKind::kImages;  ///< of 28 x 28 pixels, or labels
  int64_t count = 0;
  std::string_view sha256;  ///< of the official bytes, unpacked
};

using IdxSet = std::array<IdxFile, 4>;
const IdxSet& mnist_files();
const IdxSet& fashion_mnist_files();

/// Checks one file, gzip or plain: header, count, size, labels. Returns the SHA-256 of its unpacked bytes.
/// Throws DataError.
std::string verify_idx(const std::filesystem::path& path, const IdxFile& file);

/// `file` in `folder`, plain or gzip, or an empty path.
std::filesystem::path find_idx(const std::filesystem::path& folder, const IdxFile& file);

}  // namespace ddpm_eval::data
