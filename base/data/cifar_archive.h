#pragma once

#include "base/data/dataset.h"

#include <cstdint>
#include <filesystem>
#include <optional>

namespace ddpm_eval::data {

constexpr int64_t kCifar100Classes = 100;

/// One of the four archives in which CIFAR-10 and CIFAR-100 (Krizhevsky 2009) are published.
struct CifarRelease {
  int64_t classes = 10;     ///< 10 or 100
  bool is_pickled = false;  ///< the Python version, else the binary one
};

/// Which release an archive is, by the folder of its first member: cifar-10-batches-bin,
/// cifar-10-batches-py, cifar-100-binary or cifar-100-python. Nothing for other archives, and for what cannot
/// be read.
std::optional<CifarRelease> cifar_release(const std::filesystem::path& archive);

/// CIFAR-10 or CIFAR-100 from its official archive, plain or gzip, of which nothing is unpacked to disk and
/// nothing executed. Of CIFAR-100 the labels are the fine ones. Files of any number of images are read, with
/// a note if it is not the official one. Throws DataError for an archive that is none of `classes`, is
/// damaged or lacks a file, and as parse_cifar_binary() and parse_cifar_pickle() do.
ImageDataset load_cifar_archive(const std::filesystem::path& archive, int64_t classes, Split split);

/// The archive of CIFAR-100 where core::data_candidates says: cifar-100-binary.tar.gz, or else
/// cifar-100-python.tar.gz. Throws DataError if there is neither.
std::filesystem::path find_cifar100();

}  // namespace ddpm_eval::data
