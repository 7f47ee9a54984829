#pragma once

#include "base/data/dataset.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

// CIFAR-10's binary layout (Krizhevsky 2009): files of records, each a label byte and 3 x 32 x 32 pixel
// bytes, red, green, blue.
namespace ddpm_eval::data {

constexpr auto kCifar10Folder = "cifar-10-batches-bin";  ///< as the official archive unpacks
constexpr int64_t kCifar10Side = 32;
constexpr int64_t kCifar10Plane = kCifar10Side * kCifar10Side;
constexpr int64_t kCifar10Record = 1 + 3 * kCifar10Plane;
constexpr int64_t kCifar10Classes = 10;
constexpr int64_t kCifar10BatchRecords = 10'000;  ///< in each official file

/// data_batch_1.bin to data_batch_5.bin, or test_batch.bin.
const std::vector<std::string>& cifar10_batches(Split split);

/// As batches.meta.txt has them, by label.
const std::vector<std::string>& cifar10_class_names();

/// The records of one file. Throws DataError if it is missing, holds no whole number of records or a label
/// above 9.
std::vector<char> read_cifar10_batch(const std::filesystem::path& path);

}  // namespace ddpm_eval::data
